"""The network of cifar10-airbench94, which reaches 94 % on CIFAR-10 within seconds (Jordan 2024)."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Len
from torch import Tensor, nn

from initbench.model.layers import Activation, activation, named
from initbench.schema.ranges import PositiveInt

_STAGES = 3
_KERNEL = 2  # of the first convolution, whose filters whiten patches
_MOMENTUM = 0.4  # of the running statistics, in torch's convention; 0.6 in the paper


class Airbench(nn.Sequential):
    """A 2x2 convolution with bias, three stages, global max pooling, a linear classifier without bias.

    A stage is (3x3 convolution, 2x2 max pool, batch norm, activation, 3x3 convolution, batch norm, activation), and
    `width` lists the numbers of channels of the stages. The scales of norms are not trained. The first convolution has
    two filters, meant to be each other's negative, for each number in a patch; `init=patch_whitening` fills and freezes
    it. The last pool covers the whole map, which is 3x3 for images of 32x32 and 28x28. Scores are multiplied by
    `output_scale`.

    Raises ValueError for images that are too small for the pools.

    Source: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU", section 3 and listing of airbench94.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        image_size: int,
        num_classes: int,
        width: Annotated[Sequence[PositiveInt], Len(_STAGES, _STAGES)],
        output_scale: float,
        nonlinearity: Activation = "gelu",
    ) -> None:
        side = (image_size - _KERNEL + 1) // 2 // 2 // 2
        if side < 1:
            raise ValueError(f"images must be at least 9x9 pixels, not {image_size}x{image_size}")
        channels = 2 * in_channels * _KERNEL**2
        layers: dict[str, nn.Module | None] = {
            "whiten": nn.Conv2d(in_channels, channels, _KERNEL),
            "activation": activation(nonlinearity),
        }
        for stage, out_channels in enumerate(width, start=1):
            layers |= {
                f"conv{stage}a": nn.Conv2d(channels, out_channels, 3, padding=1, bias=False),
                f"pool{stage}": nn.MaxPool2d(2),
                f"norm{stage}a": _shift(out_channels),
                f"activation{stage}a": activation(nonlinearity),
                f"conv{stage}b": nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                f"norm{stage}b": _shift(out_channels),
                f"activation{stage}b": activation(nonlinearity),
            }
            channels = out_channels
        layers |= {
            "pool": nn.MaxPool2d(side),
            "flatten": nn.Flatten(),
            "classifier": nn.Linear(channels, num_classes, bias=False),
        }
        super().__init__(named(layers))
        self.output_scale = output_scale

    def forward(self, input: Tensor) -> Tensor:
        """Images (batch, in_channels, image_size, image_size) to scores (batch, num_classes)."""
        scores: Tensor = super().forward(input)
        return scores * self.output_scale


def _shift(channels: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, momentum=_MOMENTUM)
    norm.weight.requires_grad_(False)
    return norm
