"""Datasets as uint8 tensors, and the Lightning data module that serves them. Names load on first use.

A source is a function that returns `Arrays`; a YAML in conf/data/ names it by `_target_` and gives its
arguments. Files are named other than the functions they hold, so that `initbench.data.image_folder` is
always the function.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "Arrays",
    "ImageData",
    "ImageDataModule",
    "build",
    "check_source",
    "image_folder",
    "mnist_mini",
    "torchvision_dataset",
]

if TYPE_CHECKING:
    from initbench.data.base import Arrays
    from initbench.data.factory import build, check_source
    from initbench.data.folder import image_folder
    from initbench.data.images import ImageData
    from initbench.data.mini import mnist_mini
    from initbench.data.module import ImageDataModule
    from initbench.data.vision import torchvision_dataset

_HOME = {
    "Arrays": "initbench.data.base",
    "ImageData": "initbench.data.images",
    "ImageDataModule": "initbench.data.module",
    "build": "initbench.data.factory",
    "check_source": "initbench.data.factory",
    "image_folder": "initbench.data.folder",
    "mnist_mini": "initbench.data.mini",
    "torchvision_dataset": "initbench.data.vision",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'initbench.data' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)
