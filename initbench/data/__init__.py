"""Datasets as uint8 tensors, and the Lightning data module that serves them. Names load on first use.

A source is a function that returns `Arrays`; a YAML in conf/data/ names it by `_target_` and gives its
arguments. Files are named other than the functions they hold, so that `initbench.data.image_folder` is
always the function.
"""

from typing import TYPE_CHECKING

from initbench import lazy

__all__ = [
    "Arrays",
    "ImageData",
    "ImageDataModule",
    "Sizes",
    "build",
    "check_source",
    "image_folder",
    "look",
    "mnist_mini",
    "torchvision_dataset",
]

if TYPE_CHECKING:
    from initbench.data.base import Arrays, Sizes
    from initbench.data.factory import build, check_source, look
    from initbench.data.folder import image_folder
    from initbench.data.images import ImageData
    from initbench.data.mini import mnist_mini
    from initbench.data.module import ImageDataModule
    from initbench.data.vision import torchvision_dataset

__getattr__ = lazy.attributes(
    __name__,
    {
        "Arrays": "initbench.data.base",
        "ImageData": "initbench.data.images",
        "ImageDataModule": "initbench.data.module",
        "Sizes": "initbench.data.base",
        "build": "initbench.data.factory",
        "check_source": "initbench.data.factory",
        "image_folder": "initbench.data.folder",
        "look": "initbench.data.factory",
        "mnist_mini": "initbench.data.mini",
        "torchvision_dataset": "initbench.data.vision",
    },
)
