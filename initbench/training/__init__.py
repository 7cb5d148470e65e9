"""One run by Lightning: from a resolved config to its record."""
