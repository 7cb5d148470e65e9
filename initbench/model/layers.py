"""The parts models share: activations and normalization by name, widths per layer, named layers."""

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
    """A new activation module, with torch's defaults; ValueError for a name outside `ACTIVATIONS`."""
    if nonlinearity not in ACTIVATIONS:
        raise unknown("nonlinearity", nonlinearity, ACTIVATIONS)
    return ACTIVATIONS[nonlinearity]()


def norm1d(norm: str, features: int) -> nn.Module | None:
    """The normalization of (batch, features); None for `none`.

    Raises ValueError for a name other than none, batch, layer.
    """
    if norm == "none":
        return None
    if norm == "batch":
        return nn.BatchNorm1d(features)
    if norm == "layer":
        return nn.LayerNorm(features)
    raise unknown("norm", norm, ("none", "batch", "layer"))


def norm2d(norm: str, channels: int) -> nn.Module | None:
    """The normalization of (batch, channels, height, width); None for `none`.

    `group` has 32 groups (Wu & He, 2018), or as many of those as divide the channels.
    Raises ValueError for a name other than none, batch, group.
    """
    if norm == "none":
        return None
    if norm == "batch":
        return nn.BatchNorm2d(channels)
    if norm == "group":
        return nn.GroupNorm(gcd(32, channels), channels)
    raise unknown("norm", norm, ("none", "batch", "group"))


def widths(width: int | Sequence[int], count: int, key: str) -> list[int]:
    """One width for each of `count` layers: an int is repeated, a list must have one entry for each.

    Raises ValueError for a word, and where a list is too long or too short; `key` is the option that `count` came from.
    """
    if isinstance(width, int):
        return [width] * count
    if isinstance(width, str):
        raise ValueError(f"width must be a whole number or a list of {count}, got {width!r}")
    if len(width) != count:
        raise ValueError(f"width lists {len(width)} values but {key} is {count}; set {key}={len(width)}")
    return list(width)


def named(layers: Mapping[str, nn.Module | None]) -> OrderedDict[str, nn.Module]:
    """What nn.Sequential takes to name its layers, without those that are None.

    Rules and reports speak of layers by name, so `conv1` stays `conv1` whatever `norm` is.
    """
    return OrderedDict((name, layer) for name, layer in layers.items() if layer is not None)
