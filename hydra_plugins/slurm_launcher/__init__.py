"""Hydra launcher: the jobs of hydra-submitit-launcher, several a SLURM job, each of which may die alone."""
