"""Hydra's grid of overrides, of which only what is not done yet is launched."""
