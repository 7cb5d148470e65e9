"""The data-dependent initialization of weight normalization (Salimans & Kingma 2016)."""

from torch import nn

from initbench.init.method import Batch
from initbench.init.methods.execution import standardize, visit_layers


def weight_norm_data_(model: nn.Module, batch: Batch) -> dict[str, float]:
    """g = 1 / std(t) and b = -mean(t) / std(t) for t = V x / |V|, unit by unit, in the order in which layers run.

    Each unit's output has mean 0 and standard deviation 1 on the batch. An ordinary layer gets W = g V / |V|; one
    that is parametrized by torch.nn.utils.parametrizations.weight_norm keeps V as filled and gets g. A layer
    without bias, as before a norm, is scaled and keeps its mean.

    A module that runs several times is set at its first run, a weight that several modules share by the first of
    them. What is inside nn.MultiheadAttention, recurrent modules and modules that do not run stay as filled.

    Raises ValueError for a unit whose output is constant on the batch or not finite; the authors' code adds an
    epsilon to its variance.

    Source: Salimans & Kingma 2016, section 3, eq. 5 and 6.
    Acts on: the weights and biases of the linear, bilinear and convolutional layers that run.
    """
    visit_layers(model, batch.inputs, standardize)
    return {"steps": 1}
