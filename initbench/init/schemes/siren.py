"""SIREN: weights for networks with sine activations (Sitzmann et al. 2020)."""

import math

from torch import Generator, Tensor

from initbench.init.declarations import expected_std
from initbench.init.layer import Layer
from initbench.init.schemes.variance import draw_, std_of


def _std(layer: Layer, *, omega: float = 30.0) -> float:
    if not omega > 0:
        raise ValueError(f"omega must be positive, got {omega}")
    if layer.position is not None and layer.position.is_first:
        return std_of(layer, 1.0, "fan_in") ** 2 / math.sqrt(3)
    return std_of(layer, math.sqrt(2), "fan_in") / omega


@expected_std(_std)
def siren_(tensor: Tensor, layer: Layer, generator: Generator, *, omega: float = 30.0) -> None:
    """U(+-1 / fan_in) in the model's first weight matrix, U(+-sqrt(6 / fan_in) / omega) in the others.

    For models that compute sin(omega * (W x + b)): their factor omega cancels the division here and only makes
    gradients larger, and pre-activations keep a variance of about 1 at every depth. A model with plain sines needs
    omega=1; with omega=30 its signal would shrink by a factor of 30 per layer. The last layer is filled like the
    others. Raises ValueError for an omega that is not positive and for a tensor without fans.

    Source: Sitzmann, Martel, Bergman, Lindell & Wetzstein 2020, section 3.2 and supplement 1.5.
    Acts on: every weight.
    """
    draw_(tensor, generator, _std(layer, omega=omega), "uniform")
