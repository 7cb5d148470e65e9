"""The runs of a sweep on other machines: SLURM jobs and Ray tasks, each of which may die alone."""
