"""The split of the training images for validation, and the statistics of those that are trained on."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from initbench.data.arrays import Arrays
from initbench.data.seeding import SPLIT, derive_seed

# Part of the definition of a dataset, not of a run: every run validates on the same images, unless it has seeds.split.
_SPLIT_SEED = 0
# Mean and standard deviation are exact up to this many bytes of images, and of a random sample beyond.
_STATISTICS_BYTES = 1 << 30


@dataclass(frozen=True)
class Split:
    """Indices into the training images; mean and std (C,) of those trained on, in [0, 1] units."""

    train: Tensor
    val: Tensor
    mean: Tensor
    std: Tensor


@lru_cache(maxsize=4)
def split(arrays: Arrays, val_size: int, seed: int | None = None) -> Split:
    """Without a seed, it depends only on the dataset and the number held out, so it is the same for every run."""
    train, val = held_out(len(arrays.train_images), val_size, seed)
    sample = train[: max(1, _STATISTICS_BYTES // arrays.train_images[0].nbytes)]
    mean, std = _statistics(arrays.train_images, sample)
    return Split(train, val, mean, std)


def held_out(total: int, val_size: int, seed: int | None = None) -> tuple[Tensor, Tensor]:
    """The indices to train on, and those held out; without a seed, the same for every run on so many samples."""
    generator = torch.Generator().manual_seed(_SPLIT_SEED if seed is None else derive_seed(seed, SPLIT))
    order = torch.randperm(total, generator=generator)
    return order[val_size:], order[:val_size]


def _statistics(images: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and std per channel. The sums are integers, hence exact and independent of the thread count."""
    total = torch.zeros(images.shape[1], dtype=torch.int64)
    total_of_squares = torch.zeros_like(total)
    for chunk in indices.split(1000):
        values = images.index_select(0, chunk).to(torch.int32)
        total += values.sum((0, 2, 3))
        total_of_squares += values.square().sum((0, 2, 3))
    count = len(indices) * images[0, 0].numel()
    mean = total.double() / count
    variance = total_of_squares.double() / count - mean.square()
    # At least one grey level, so that a channel that never varies (a blank one) stays finite.
    std = variance.clamp(min=1).sqrt()
    return (mean / 255).float(), (std / 255).float()
