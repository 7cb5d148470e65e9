"""VGG for small images: the convolutions of the paper with one linear classifier."""

from typing import Literal

from torch import nn

from initbench.model.layers import Activation, Norm2d, activation, named, norm2d

# Convolutions in each of the five stages: configurations A, B, D, E of Simonyan & Zisserman (2015), Table 1.
_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_CHANNELS = (64, 128, 256, 512, 512)


class VGG(nn.Sequential):
    """VGG-11, 13, 16 or 19: 3x3 convolutions with bias, and a 2x2 max pool after each stage.

    As is common for CIFAR, one linear layer replaces the paper's three, which are made for 7x7 maps. Pools round up, so
    28x28 images, like 32x32, end as one pixel; the maps of larger images are averaged. `norm` is none, batch or group.

    Source: Simonyan & Zisserman 2015, Table 1.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        image_size: int,
        num_classes: int,
        depth: Literal[11, 13, 16, 19],
        nonlinearity: Activation = "relu",
        norm: Norm2d = "none",
    ) -> None:
        layers: dict[str, nn.Module | None] = {}
        channels, index = in_channels, 0
        for stage, (count, out_channels) in enumerate(zip(_STAGES[depth], _CHANNELS, strict=True), start=1):
            for _ in range(count):
                index += 1
                layers[f"conv{index}"] = nn.Conv2d(channels, out_channels, kernel_size=3, padding=1)
                layers[f"norm{index}"] = norm2d(norm, out_channels)
                layers[f"activation{index}"] = activation(nonlinearity)
                channels = out_channels
            layers[f"pool{stage}"] = nn.MaxPool2d(2, ceil_mode=True)
        layers |= {
            "average": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "classifier": nn.Linear(channels, num_classes),
        }
        super().__init__(named(layers))
