"""How far a study is, from its records alone: `python -m initbench.status`. Needs no torch and no pandas."""
