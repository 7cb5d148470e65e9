"""torchvision's ResNets, optionally with a first layer for small images."""

from typing import Literal

from torch import nn

# ResNets of He et al. (2016), Table 1: torchvision's name of the block, and the number of blocks in each stage.
_STAGES = {
    18: ("BasicBlock", [2, 2, 2, 2]),
    34: ("BasicBlock", [3, 4, 6, 3]),
    50: ("Bottleneck", [3, 4, 6, 3]),
    101: ("Bottleneck", [3, 4, 23, 3]),
    152: ("Bottleneck", [3, 8, 36, 3]),
}


def resnet(
    *,
    in_channels: int,
    image_size: int,
    num_classes: int,
    depth: Literal[18, 34, 50, 101, 152],
    stem: Literal["cifar", "imagenet"] = "cifar",
) -> nn.Module:
    """ResNet-18, 34, 50, 101 or 152 of He et al. (2016).

    `stem="imagenet"` is the original 7x7 convolution with stride 2 and a max pool, after which an image of 32x32 pixels
    is 8x8; `stem="cifar"` is a 3x3 convolution with stride 1 and no pool.
    """
    from torchvision.models import resnet as torchvision_resnet  # takes seconds to import

    block, stages = _STAGES[depth]
    model = torchvision_resnet.ResNet(getattr(torchvision_resnet, block), stages, num_classes=num_classes)
    if stem == "imagenet":
        model.conv1 = nn.Conv2d(in_channels, 64, kernel_size=7, stride=2, padding=3, bias=False)
    else:
        model.conv1 = nn.Conv2d(in_channels, 64, kernel_size=3, stride=1, padding=1, bias=False)
        model.maxpool = nn.Identity()
    return model
