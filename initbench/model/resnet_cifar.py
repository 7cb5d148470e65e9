"""The ResNets that He et al. (2016) made for CIFAR: ResNet-20, 32, 44, 56, 110."""

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.model.layers import activation, named, norm2d


class Shortcut(nn.Module):
    """Option A of He et al. (2016): every stride-th pixel, new channels zero. It has no parameters."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(batch, c, height, width) to (batch, c + new_channels, height / stride, width / stride)."""
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.new_channels))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and the shortcut around them, the activation after the sum."""

    def __init__(self, in_channels: int, channels: int, nonlinearity: str, norm: str) -> None:
        super().__init__()
        widens = channels != in_channels
        stride = 2 if widens else 1
        layers = {
            "conv1": _conv(in_channels, channels, stride, norm),
            "norm1": norm2d(norm, channels),
            "activation1": activation(nonlinearity),
            "conv2": _conv(channels, channels, 1, norm),
            "norm2": norm2d(norm, channels),
        }
        self.residual = nn.Sequential(named(layers))
        self.shortcut = Shortcut(channels - in_channels, stride) if widens else None
        self.activation = activation(nonlinearity)

    def forward(self, x: Tensor) -> Tensor:
        skipped = x if self.shortcut is None else self.shortcut(x)
        return self.activation(self.residual(x) + skipped)


class CifarResNet(nn.Sequential):
    """`depth` = 6n + 2 weighted layers: a stem, three stages of n blocks, a linear classifier.

    The stages have `width`, 2 `width` and 4 `width` channels (He et al.: 16) and halve the image between
    them. `norm` is none, batch or group; convolutions have a bias where no norm follows to shift them.

    Raises ValueError for a depth that is not 6n + 2.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        image_size: int,
        num_classes: int,
        depth: int,
        width: int = 16,
        nonlinearity: str = "relu",
        norm: str = "batch",
    ) -> None:
        blocks, remainder = divmod(depth - 2, 6)
        if remainder or blocks < 1:
            raise ValueError(f"depth must be 6n + 2 (8, 14, 20, 32, 44, 56, 110, ...), not {depth}")
        layers = {
            "conv1": _conv(in_channels, width, 1, norm),
            "norm1": norm2d(norm, width),
            "activation1": activation(nonlinearity),
            "stage1": _stage(blocks, width, width, nonlinearity, norm),
            "stage2": _stage(blocks, width, 2 * width, nonlinearity, norm),
            "stage3": _stage(blocks, 2 * width, 4 * width, nonlinearity, norm),
            "pool": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
            "classifier": nn.Linear(4 * width, num_classes),
        }
        super().__init__(named(layers))


def _stage(blocks: int, in_channels: int, channels: int, nonlinearity: str, norm: str) -> nn.Sequential:
    first = BasicBlock(in_channels, channels, nonlinearity, norm)
    return nn.Sequential(first, *(BasicBlock(channels, channels, nonlinearity, norm) for _ in range(blocks - 1)))


def _conv(in_channels: int, channels: int, stride: int, norm: str) -> nn.Conv2d:
    bias = norm == "none"
    return nn.Conv2d(in_channels, channels, kernel_size=3, stride=stride, padding=1, bias=bias)
