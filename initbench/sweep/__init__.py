"""Many runs: what one job of a sweep does, and what is said at the end."""
