"""A dataset of images: four tensors and the names of the classes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from initbench.data.files import always
from initbench.sizes import Sizes


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: copies on a device are cached per Arrays
class Arrays:
    """A dataset on the CPU, checked: square uint8 images (N, C, S, S) and int64 labels (N,) per split.

    The images may be memory-mapped. `is_current` tells a process that has cached them whether their files
    are unchanged.

    Raises ValueError for an empty split, images that are not square uint8 of one shape, labels that do not
    match the images in number, and labels outside the classes.
    """

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    is_current: Callable[[], bool] = always

    def __post_init__(self) -> None:
        if not isinstance(self.classes, Sequence):
            raise ValueError(f"classes must be a list of the names of the classes, got {self.classes!r}")
        _check_split("train", self.train_images, self.train_labels, len(self.classes))
        _check_split("test", self.test_images, self.test_labels, len(self.classes))
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            shapes = [tuple(images.shape[1:]) for images in (self.train_images, self.test_images)]
            raise ValueError(f"train images are {shapes[0]} but test images are {shapes[1]}")

    @property
    def sizes(self) -> Sizes:
        """How many samples there are to train on, and what a sample is."""
        return Sizes(len(self.train_images), tuple(self.train_images.shape[1:]), num_classes=len(self.classes))

    @property
    def nbytes(self) -> int:
        """Bytes of all images, as needed to keep them on a device."""
        return self.train_images.nbytes + self.test_images.nbytes


def _check_split(split: str, images: Tensor, labels: Tensor, num_classes: int) -> None:
    if len(images) == 0:
        raise ValueError(f"the {split} set is empty")
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[2] != images.shape[3]:
        got = f"{images.dtype} {tuple(images.shape)}"
        raise ValueError(f"{split} images must be square uint8 of shape (N, C, S, S), got {got}")
    if labels.dtype != torch.int64 or labels.shape != (len(images),):
        got = f"{labels.dtype} {tuple(labels.shape)}"
        raise ValueError(f"{split} labels must be int64 of shape ({len(images)},), got {got}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= num_classes:
        raise ValueError(f"{split} labels must lie in [0, {num_classes - 1}], got [{low}, {high}]")
