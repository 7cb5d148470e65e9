"""Models whose constructors draw what is neither a parameter nor a buffer."""

import torch
from torch import Tensor

from initbench.model import MLP


class Shuffling(MLP):
    def __init__(self, in_channels: int, image_size: int, num_classes: int, **of_mlp: object) -> None:
        super().__init__(in_features=in_channels * image_size**2, out_features=num_classes, **of_mlp)  # type: ignore[arg-type]  # of many types
        self.order = torch.randperm(image_size**2)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.flatten(2)[..., self.order].view_as(images))


class Projecting(MLP):
    def __init__(self, in_channels: int, image_size: int, num_classes: int, **of_mlp: object) -> None:
        super().__init__(in_features=in_channels * image_size**2, out_features=num_classes, **of_mlp)  # type: ignore[arg-type]  # of many types
        self.projection = torch.randn(image_size, image_size) / image_size**0.5

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images @ self.projection)


class Dropping(MLP):
    def __init__(self, in_channels: int, image_size: int, num_classes: int, **of_mlp: object) -> None:
        dropout = 0.1 + 0.2 * torch.rand(()).item()
        keys = {**of_mlp, "dropout": dropout}
        super().__init__(in_features=in_channels * image_size**2, out_features=num_classes, **keys)  # type: ignore[arg-type]  # of many types
