"""The classification of images, for models and tasks that are built without a whole config."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from initbench.model import build
from initbench.sizes import Sizes
from initbench.task import Classification


def image_sizes(in_channels: int = 1, image_size: int = 28, num_classes: int = 10) -> Sizes:
    return Sizes(1000, (in_channels, image_size, image_size), num_classes=num_classes)


def classification(num_classes: int = 10, **options: Any) -> Classification:
    return Classification(image_sizes(num_classes=num_classes), **options)


def classifier(config: Mapping[str, Any], **shape: int) -> nn.Module:
    """The model of a config, for images of this shape."""
    task = classification(shape.get("num_classes", 10))
    return build(config, image_sizes(**shape), task.given, task.outputs)
