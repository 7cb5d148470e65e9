"""A convolutional network of any depth without skip connections, for which initialization matters most."""

from typing import Literal

from torch import nn

from initbench.model.layers import Activation, Norm2d, Widths, activation, named, norm2d, widths
from initbench.schema.ranges import PositiveInt


class PlainCNN(nn.Sequential):
    """`depth` times (3x3 convolution, norm, activation), global average pooling, a linear classifier.

    The convolutions are distributed evenly over `stages`; from the second stage on, the first convolution of a stage
    has stride 2. `width`, the number of channels, is one int or a list with one entry per stage. Constant width and
    circular padding give the vanilla CNN of Xiao et al. (2018); 16, 32 and 64 channels give the plain networks of He et
    al. (2016). `norm` is none, batch or group; convolutions have a bias only without a norm.

    Raises ValueError for fewer convolutions than stages, for a `width` of another length than `stages`, and for an
    unknown norm or nonlinearity.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        image_size: int,
        num_classes: int,
        depth: PositiveInt,
        width: Widths,
        stages: PositiveInt = 3,
        nonlinearity: Activation = "relu",
        norm: Norm2d = "none",
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
    ) -> None:
        if stages > depth:
            raise ValueError(f"stages must be between 1 and depth ({depth}), not {stages}")
        # The first stages have one more convolution if they cannot all have the same number.
        counts = [depth // stages + (stage < depth % stages) for stage in range(stages)]
        layers: dict[str, nn.Module | None] = {}
        channels, index = in_channels, 0
        for stage, out_channels in enumerate(widths(width, stages, "stages")):
            for block in range(counts[stage]):
                index += 1
                layers[f"conv{index}"] = nn.Conv2d(
                    channels,
                    out_channels,
                    kernel_size=3,
                    stride=2 if stage > 0 and block == 0 else 1,
                    padding=1,
                    padding_mode=padding_mode,
                    bias=norm == "none",
                )
                layers[f"norm{index}"] = norm2d(norm, out_channels)
                layers[f"activation{index}"] = activation(nonlinearity)
                channels = out_channels
        layers |= {
            "pool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "classifier": nn.Linear(channels, num_classes),
        }
        super().__init__(named(layers))
