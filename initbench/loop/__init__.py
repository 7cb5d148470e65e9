"""Comparing initializers in a training loop of the user's own: no Hydra, no Lightning, the same records and verdict."""
