"""Identity plus noise, so that deep tanh networks neither lose nor saturate their signal (Lee et al. 2025)."""

import math

from torch import Generator, Tensor
from torch.nn import init

from initbench.init.declarations import expected_std
from initbench.init.layer import Layer
from initbench.init.schemes.identity import repeated_identity


def _std(layer: Layer, *, alpha: float = 0.085) -> float:
    if not alpha >= 0:
        raise ValueError(f"alpha must not be negative, got {alpha}")
    # Each row has a single 1, so the share of ones is 1 / in; the noise adds its variance, alpha^2 / in.
    inputs = layer.shape[1]
    return math.sqrt((1 - 1 / inputs + alpha**2) / inputs)


@expected_std(_std)
def tanh_fixed_point_(tensor: Tensor, layer: Layer, generator: Generator, *, alpha: float = 0.085) -> None:
    """W = D + Z with D[i, j] = 1 where i = j modulo in, else 0, and Z ~ N(0, alpha^2 / in).

    Each unit of a tanh network then computes about tanh(a x), where x is one unit of the layer before and the slope `a`
    is close to 1. If a > 1, the map x <- tanh(a x) has a fixed point other than 0, so the signal does not vanish; as a
    is close to 1, it does not saturate. The noise is that of the paper; the authors' example for MNIST divides it by
    the square root of out. Each gate or projection stacked in a parameter is a matrix by itself.

    Raises ValueError for a negative alpha, and for weights that are not matrices, for which the paper has no rule.

    Source: Lee, Choi & Kim 2025, Robust weight initialization for tanh neural networks, section 3.2.
    Acts on: every weight matrix.
    """
    if tensor.dim() != 2:
        raise ValueError(
            f"{layer.name} has shape {layer.shape}: tanh_fixed_point is defined on matrices; give other layers another "
            "scheme by a rule"
        )
    _std(layer, alpha=alpha)
    outputs, inputs = tensor.shape
    init.normal_(tensor, 0.0, alpha / math.sqrt(inputs), generator)
    tensor.add_(repeated_identity(outputs, inputs))
