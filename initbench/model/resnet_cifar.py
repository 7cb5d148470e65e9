"""The ResNets of He et al. (2016) for CIFAR: ResNet-20, 32, 44, 56, 110."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.model.layers import Activation, activation, named, norm2d
from initbench.schema.ranges import PositiveInt

Norm = Literal["none", "batch", "group", "fixup"]


class Shortcut(nn.Module):
    """Option A of He et al. (2016): every stride-th pixel, zero in the new channels. It has no parameters."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.new_channels = channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c, height, width) to (batch, c + new_channels, height / stride, width / stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


class ScalarBias(nn.Module):
    """x + b with one learnable number b, initially zero (Zhang et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Add the bias to an input of any shape."""
        return x + self.bias


class BasicBlock(nn.Module):
    """Two 3x3 convolutions (`branch`) with a shortcut around them and the activation after the sum."""

    def __init__(self, in_channels: int, channels: int, nonlinearity: Activation, norm: Norm, gate: bool) -> None:
        super().__init__()
        widens = channels != in_channels
        stride = 2 if widens else 1
        layers = {
            "bias1": _scalar_bias(norm),
            "conv1": _conv(in_channels, channels, stride, norm),
            "norm1": _norm(norm, channels),
            "activation1": activation(nonlinearity),
            "bias2": _scalar_bias(norm),
            "conv2": _conv(channels, channels, 1, norm),
            # Fixup's last bias is added after the gate, so it is not in the branch but after the sum, where it is the
            # same.
            "norm2": None if norm == "fixup" else _norm(norm, channels),
        }
        self.branch = nn.Sequential(named(layers))
        self.register_parameter("gate", nn.Parameter(torch.ones(())) if gate else None)
        self.shortcut = Shortcut(in_channels, channels, stride) if widens else None
        self.bias = _scalar_bias(norm)
        self.activation = activation(nonlinearity)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, height, width) to (batch, channels, height / stride, width / stride)."""
        skipped = x if self.shortcut is None else self.shortcut(x)
        out = self.branch(x)
        if self.gate is not None:
            out = self.gate * out
        out = out + skipped
        return self.activation(out if self.bias is None else self.bias(out))


class CifarResNet(nn.Sequential):
    """`depth` = 6n + 2 weighted layers: a stem, three stages of n blocks, a linear classifier.

    The stages have `width`, 2 `width` and 4 `width` channels (16, 32 and 64 in the paper), and the image is halved
    between them. `norm` is none, batch, group or fixup; convolutions have a bias only with `none`. `fixup` replaces
    norms as in Zhang et al. (2019): by a scalar bias before each activation, each linear layer and each convolution but
    the first, and by gates. `gate` multiplies each branch by a learnable number, initially 1, which SkipInit and ReZero
    set to 0.

    Raises ValueError for a depth that is not 6n + 2, and for an unknown norm or nonlinearity.

    Source: He, Zhang, Ren & Sun 2016, section 4.2.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        image_size: int,
        num_classes: int,
        depth: PositiveInt,
        width: PositiveInt = 16,
        nonlinearity: Activation = "relu",
        norm: Norm = "batch",
        gate: bool = False,
    ) -> None:
        blocks, remainder = divmod(depth - 2, 6)
        if remainder or blocks < 1:
            raise ValueError(f"depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, ...), not {depth}")
        has_gates = gate or norm == "fixup"

        def stage(in_channels: int, channels: int) -> nn.Sequential:
            inputs = [in_channels] + [channels] * (blocks - 1)
            return nn.Sequential(*(BasicBlock(size, channels, nonlinearity, norm, has_gates) for size in inputs))

        layers = {
            "conv1": _conv(in_channels, width, 1, norm),
            "norm1": _norm(norm, width),
            "activation1": activation(nonlinearity),
            "stage1": stage(width, width),
            "stage2": stage(width, 2 * width),
            "stage3": stage(2 * width, 4 * width),
            "pool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "bias": _scalar_bias(norm),
            "classifier": nn.Linear(4 * width, num_classes),
        }
        super().__init__(named(layers))


def _norm(norm: Norm, channels: int) -> nn.Module | None:
    return ScalarBias() if norm == "fixup" else norm2d(norm, channels)


def _scalar_bias(norm: Norm) -> ScalarBias | None:
    return ScalarBias() if norm == "fixup" else None


def _conv(in_channels: int, channels: int, stride: int, norm: Norm) -> nn.Conv2d:
    bias = norm == "none"
    return nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=bias)
