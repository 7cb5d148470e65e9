"""Initializers as in-place functions, and the Initializer that applies them to any nn.Module.

A library that depends on torch, scipy, yaml and pydantic only: it imports neither Hydra, Lightning nor wandb.
`schemes/` holds the functions that fill one tensor, `methods/` those that change a whole model.
"""

from initbench.init.assignment import Assignment, fill
from initbench.init.declarations import Factors
from initbench.init.description import describe
from initbench.init.gain import calculate_gain
from initbench.init.initializer import Initializer, initialize, initializer, learning_rates, optimizer_factors
from initbench.init.layer import Layer, fans
from initbench.init.method import Batch
from initbench.init.nonlinearity import nonlinearity_of
from initbench.init.outcome import Outcome, Plan
from initbench.init.scheme import options
from initbench.init.table import rows, weights_digest

__all__ = [
    "Assignment",
    "Batch",
    "Factors",
    "Initializer",
    "Layer",
    "Outcome",
    "Plan",
    "calculate_gain",
    "describe",
    "fans",
    "fill",
    "initialize",
    "initializer",
    "learning_rates",
    "nonlinearity_of",
    "optimizer_factors",
    "options",
    "rows",
    "weights_digest",
]
