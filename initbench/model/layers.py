"""Parts that models share: activations and norms by name, widths per layer, named layers."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import gcd
from typing import Literal

from torch import nn

from initbench import wording
from initbench.schema.ranges import PositiveInt

# Named as in torch.nn.functional, and as in the gains of initbench.init.
Activation = Literal[
    "linear", "relu", "relu6", "leaky_relu", "prelu", "elu", "celu", "selu", "gelu", "silu", "mish", "tanh",
    "tanhshrink", "sigmoid", "logsigmoid", "softplus", "softsign", "hardswish", "hardtanh", "hardsigmoid",
]  # fmt: skip  # several values to a line
Norm1d = Literal["none", "batch", "layer"]
Norm2d = Literal["none", "batch", "group"]
Widths = PositiveInt | Sequence[PositiveInt]

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "celu": nn.CELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "tanhshrink": nn.Tanhshrink,
    "sigmoid": nn.Sigmoid,
    "logsigmoid": nn.LogSigmoid,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "hardswish": nn.Hardswish,
    "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid,
}


def activation(nonlinearity: Activation) -> nn.Module:
    """A new activation module with torch's defaults."""
    return ACTIVATIONS[nonlinearity]()


def norm1d(norm: Norm1d, features: int) -> nn.Module | None:
    """The normalization layer for (batch, features); None for `none`."""
    kinds: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}
    return None if norm == "none" else kinds[norm](features)


def norm2d(norm: Norm2d, channels: int) -> nn.Module | None:
    """The normalization layer for (batch, channels, height, width); None for `none`.

    `group` has 32 groups (Wu & He 2018), or the greatest common divisor of 32 and the number of channels.
    """
    if norm == "group":
        return nn.GroupNorm(gcd(32, channels), channels)
    kinds: dict[str, type[nn.Module]] = {"batch": nn.BatchNorm2d}
    return None if norm == "none" else kinds[norm](channels)


def widths(width: Widths, count: int, key: str) -> list[int]:
    """One width for each of `count` layers: an int is repeated, a list must have `count` entries.

    Raises ValueError for a list of another length; `key` names the option that gave `count`.
    """
    if isinstance(width, int):
        return [width] * count
    if len(width) != count:
        listed = wording.count(len(width), "value")
        raise ValueError(f"width lists {listed} but {key} is {count}; set {key}={len(width)}")
    return list(width)


def named(layers: Mapping[str, nn.Module | None]) -> OrderedDict[str, nn.Module]:
    """Named layers for nn.Sequential, without those that are None.

    Rules and reports refer to layers by name, so the name of a layer must not depend on whether others exist.
    """
    return OrderedDict((name, layer) for name, layer in layers.items() if layer is not None)
