"""The initialization rate: weights whose standard deviation is a power of the fan_in (Zhang et al. 2024)."""

from torch import Generator, Tensor

from initbench.init.declarations import expected_std
from initbench.init.layer import Layer
from initbench.init.schemes.variance import draw_, std_of


def _std(layer: Layer, *, gamma: float = 0.8) -> float:
    if not gamma > 0:
        raise ValueError(f"gamma must be positive, got {gamma}")
    return std_of(layer, 1.0, "fan_in") ** (2 * gamma)


@expected_std(_std)
def gamma_(tensor: Tensor, layer: Layer, generator: Generator, *, gamma: float = 0.8) -> None:
    """N(0, fan_in^(-2 gamma)): the standard deviation is fan_in^(-gamma).

    gamma = 0.5 is LeCun's variance, 1 / fan_in. The paper varies gamma: with small weights its transformers compose the
    functions that they have learned, and with larger weights they memorize pairs of functions. The default, 0.8, is the
    paper's small initialization. The weights are then smaller than LeCun's by the factor fan_in^(-0.3), which is 0.15
    at fan_in = 512, so a network without norms or skip connections loses its signal with depth.

    Raises ValueError for a gamma that is not positive and for a tensor without fans.

    Source: Zhang, Lin, Wang, Zhang & Xu 2024, Initialization is critical (arXiv 2405.05409).
    Acts on: every weight.
    """
    draw_(tensor, generator, _std(layer, gamma=gamma), "normal")
