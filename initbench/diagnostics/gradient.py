"""Gradients of the loss with respect to weights: their size, alone and against the weights'."""

import math
from collections.abc import Sequence

from torch import Tensor

from initbench.diagnostics.moments import norm


def gradient_to_weight(gradients: Sequence[Tensor], weights: Sequence[Tensor]) -> float:
    """sqrt(mean dW^2 / mean W^2); infinite for a gradient of zero weights, NaN where both are zero.

    A step of SGD changes the weights by this fraction times the learning rate. That layers agree in it is the
    aim of Kraehenbuehl et al. (2016), "Data-dependent initializations of convolutional neural networks".
    """
    gradient, weight = norm(gradients), norm(weights)
    if weight == 0:
        return math.inf if gradient > 0 else math.nan
    return gradient / weight
