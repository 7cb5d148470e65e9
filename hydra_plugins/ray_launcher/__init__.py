"""Hydra launcher: the jobs of hydra-ray-launcher, of which each may die alone."""
