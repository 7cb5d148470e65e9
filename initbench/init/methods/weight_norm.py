"""The data-dependent initialization of weight normalization (Salimans & Kingma 2016)."""

from torch import nn

from initbench.init.method import Batch
from initbench.init.methods.execution import standardize, visit_layers


def weight_norm_data_(model: nn.Module, batch: Batch) -> dict[str, float]:
    """g = 1 / std(t) and b = -mean(t) / std(t) for t = V x / |V|, unit by unit, in execution order.

    Each unit's output then has mean 0 and standard deviation 1 on the batch. In an ordinary layer the weight becomes
    W = g V / |V|; in one parametrized by torch.nn.utils.parametrizations.weight_norm V is kept and g is set. A layer
    without bias, such as one before a norm, is scaled and keeps its mean.

    A module that runs several times is set at its first run; a weight shared by several modules is set with the first
    of them. Weights inside nn.MultiheadAttention, in recurrent modules and in modules that do not run are left as they
    are.

    Raises ValueError for a unit whose output is constant on the batch or not finite; the authors' code adds an epsilon
    to its variance instead.

    Source: Salimans & Kingma 2016, section 3, eq. 5 and 6.
    Acts on: the weights and biases of the linear, bilinear and convolutional layers that run.
    """
    visit_layers(model, batch.inputs, standardize)
    return {"steps": 1}
