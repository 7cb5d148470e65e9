"""Autoencoders: dense ones for anything, convolutional ones for images."""

from itertools import pairwise
from typing import Literal

from torch import nn

from initbench.model.layers import Activation, activation, named
from initbench.schema.ranges import PositiveInt


def autoencoder(
    *,
    in_features: int,
    in_channels: int = 0,
    image_size: int = 0,
    kind: Literal["dense", "convolutional"] = "dense",
    widths: list[PositiveInt],
    bottleneck: PositiveInt,
    nonlinearity: Activation = "relu",
) -> nn.Sequential:
    """An encoder down to `bottleneck` numbers, and its mirror image; the outputs have the shape of the inputs.

    dense: layers of `widths` (Hinton & Salakhutdinov 2006). convolutional: 3x3 convolutions of stride 2 with `widths`
    channels, and transposed ones back; each halves the image.

    Raises ValueError for images that cannot be halved so often, and for a convolutional one on what is no image.
    """
    if kind == "dense":
        shape = (in_channels, image_size, image_size) if in_channels else (in_features,)
        return nn.Sequential(named(_dense(in_features, [*widths, bottleneck], nonlinearity, shape)))
    if not in_channels:
        raise ValueError("kind=convolutional needs images")
    side = image_size // 2 ** len(widths)
    if side * 2 ** len(widths) != image_size:
        raise ValueError(f"{len(widths)} widths halve the image so often, and {image_size} pixels a side cannot be")
    return nn.Sequential(named(_convolutional([in_channels, *widths], side, bottleneck, nonlinearity)))


def _dense(
    features: int, widths: list[int], nonlinearity: Activation, shape: tuple[int, ...]
) -> dict[str, nn.Module | None]:
    sizes = [features, *widths, *widths[-2::-1], features]
    layers: dict[str, nn.Module | None] = {"flatten": nn.Flatten()}
    for number, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
        layers[f"linear{number}"] = nn.Linear(fan_in, fan_out)
        # The code and the outputs may be any numbers.
        is_free = number in (len(widths), len(sizes) - 1)
        layers[f"activation{number}"] = None if is_free else activation(nonlinearity)
    layers["unflatten"] = nn.Unflatten(1, shape)
    return layers


def _convolutional(
    channels: list[int], side: int, bottleneck: int, nonlinearity: Activation
) -> dict[str, nn.Module | None]:
    layers: dict[str, nn.Module | None] = {}
    for number, (fan_in, fan_out) in enumerate(pairwise(channels), start=1):
        layers[f"conv{number}"] = nn.Conv2d(fan_in, fan_out, 3, stride=2, padding=1)
        layers[f"activation{number}"] = activation(nonlinearity)
    shape = (channels[-1], side, side)
    layers["flatten"] = nn.Flatten()
    layers["encode"] = nn.Linear(channels[-1] * side**2, bottleneck)
    layers["decode"] = nn.Linear(bottleneck, channels[-1] * side**2)
    layers["unflatten"] = nn.Unflatten(1, shape)
    for number, (fan_in, fan_out) in enumerate(pairwise(channels[::-1]), start=1):
        layers[f"activation{len(channels) - 1 + number}"] = activation(nonlinearity)
        layers[f"deconv{number}"] = nn.ConvTranspose2d(fan_in, fan_out, 3, stride=2, padding=1, output_padding=1)
    return layers
