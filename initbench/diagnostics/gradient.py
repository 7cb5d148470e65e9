"""The size of gradients with respect to weights, relative to the weights."""

import math
from collections.abc import Sequence

from torch import Tensor

from initbench.diagnostics.moments import norm


def gradient_to_weight(gradients: Sequence[Tensor], weights: Sequence[Tensor]) -> float:
    """sqrt(mean dW^2 / mean W^2); infinite if only the weights are zero, NaN if both are.

    A step of SGD changes the weights by this fraction times the learning rate. Kraehenbuehl et al. (2016),
    "Data-dependent initializations of convolutional neural networks", aim at the same value in all layers.
    """
    gradient, weight = norm(gradients), norm(weights)
    if weight == 0:
        return math.inf if gradient > 0 else math.nan
    return gradient / weight
