"""Hydra launcher: a pool of warm worker processes on one machine, each pinned to its GPU or its share of the cores."""
