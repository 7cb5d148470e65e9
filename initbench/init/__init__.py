"""Initializers as in-place functions, and the Initializer that applies them to any nn.Module.

Depends on torch and yaml only: usable as a library, without Hydra, Lightning or wandb being imported.
"""

from initbench.init.elementary import (
    constant_,
    normal_,
    ones_,
    sparse_,
    trunc_normal_,
    uniform_,
    zeros_,
)
from initbench.init.gain import calculate_gain, nonlinearity_of
from initbench.init.initializer import Assignment, Initializer, fill, initialize
from initbench.init.layer import Layer, fans
from initbench.init.orthogonal import dirac_, eye_, orthogonal_
from initbench.init.own import default_
from initbench.init.scheme import options
from initbench.init.table import rows, weights_digest
from initbench.init.variance import (
    kaiming_normal_,
    kaiming_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)

__all__ = [
    "Assignment",
    "Initializer",
    "Layer",
    "calculate_gain",
    "constant_",
    "default_",
    "dirac_",
    "eye_",
    "fans",
    "fill",
    "initialize",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "nonlinearity_of",
    "normal_",
    "ones_",
    "options",
    "orthogonal_",
    "rows",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "variance_scaling_",
    "weights_digest",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]
