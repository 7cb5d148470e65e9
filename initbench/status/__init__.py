"""The progress of a study, from its records alone: `python -m initbench.status`. Needs neither torch nor pandas."""
