"""Initializers as in-place functions, and the Initializer that applies them to any nn.Module.

Depends on torch, yaml and pydantic only: usable as a library, without Hydra, Lightning or wandb being imported.
`schemes/` has the functions that fill one tensor, `methods/` those that treat a whole model.
"""

from initbench.init.gain import calculate_gain, nonlinearity_of
from initbench.init.initializer import Assignment, Initializer, Outcome, fill, initialize, initializer
from initbench.init.layer import Layer, fans
from initbench.init.method import Batch
from initbench.init.scheme import options
from initbench.init.table import describe, rows, weights_digest

__all__ = [
    "Assignment",
    "Batch",
    "Initializer",
    "Layer",
    "Outcome",
    "calculate_gain",
    "describe",
    "fans",
    "fill",
    "initialize",
    "initializer",
    "nonlinearity_of",
    "options",
    "rows",
    "weights_digest",
]
