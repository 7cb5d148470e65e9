"""Parts that models share: activations and norms by name, widths per layer, named layers."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from math import gcd

from torch import nn

from initbench.errors import unknown

# Named as in torch.nn.functional, and as in the gains of initbench.init.
ACTIVATIONS: dict[str, type[nn.Module]] = {
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


def activation(nonlinearity: str) -> nn.Module:
    """A new activation module with torch's defaults. Raises ValueError for a name outside `ACTIVATIONS`."""
    if nonlinearity not in ACTIVATIONS:
        raise unknown("nonlinearity", nonlinearity, ACTIVATIONS)
    return ACTIVATIONS[nonlinearity]()


def norm1d(norm: str, features: int) -> nn.Module | None:
    """The normalization layer for (batch, features); None for `none`.

    Raises ValueError for a name other than none, batch and layer.
    """
    if norm == "none":
        return None
    if norm == "batch":
        return nn.BatchNorm1d(features)
    if norm == "layer":
        return nn.LayerNorm(features)
    raise unknown("norm", norm, ("none", "batch", "layer"))


def norm2d(norm: str, channels: int) -> nn.Module | None:
    """The normalization layer for (batch, channels, height, width); None for `none`.

    `group` has 32 groups (Wu & He 2018), or the greatest common divisor of 32 and the number of channels.
    Raises ValueError for a name other than none, batch and group.
    """
    if norm == "none":
        return None
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(gcd(32, channels), channels)
    raise unknown("norm", norm, ("none", "batch", "group"))


def widths(width: int | Sequence[int], count: int, key: str) -> list[int]:
    """One width for each of `count` layers: an int is repeated, a list must have `count` entries.

    Raises ValueError for a string and for a list of another length; `key` names the option that gave `count`.
    """
    if isinstance(width, int):
        return [width] * count
    if isinstance(width, str):
        raise ValueError(f"width must be a whole number or a list of {count}, got {width!r}")
    if len(width) != count:
        raise ValueError(f"width lists {len(width)} values but {key} is {count}; set {key}={len(width)}")
    return list(width)


def named(layers: Mapping[str, nn.Module | None]) -> OrderedDict[str, nn.Module]:
    """Named layers for nn.Sequential, without those that are None.

    Rules and reports refer to layers by name, so the name of a layer must not depend on whether others exist.
    """
    return OrderedDict((name, layer) for name, layer in layers.items() if layer is not None)
