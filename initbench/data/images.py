"""Images resident on the training device, prepared there batch by batch."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor

from initbench.data import augment
from initbench.data.base import Arrays
from initbench.data.batches import Batch, Batches, Loader
from initbench.data.seeding import AUGMENT, derive_seed
from initbench.data.split import split
from initbench.wording import count

_EVALUATION_BATCH_SIZE = 1000


class ImageData:
    """Training, validation and test batches of one dataset.

    Loaders yield uint8; `prepare` makes normalised (and, while training, augmented) float32 of it on the device. Under
    DDP, `batch_size` is the global one, divided among the ranks.

    Args (initbench/schema/config.py has their types and ranges):
        arrays: the dataset.
        seed: determines the order of the images and augmentation, but not the validation split.
        val_size: images held out of the training set, a number or a fraction in (0, 1).
        stream: "auto", true or false.
        max_resident_gb: "auto" streams datasets larger than this (in 1e9 bytes).
        val_every_n_steps: training steps between validations.
        targets: validation accuracies in (0, 1); the time to reach each is measured.

    Raises ValueError for a setting that does not suit the data: more images than there are.
    """

    def __init__(
        self,
        arrays: Arrays,
        *,
        seed: int,
        name: str,
        batch_size: int,
        val_size: int | float,
        flip: bool,
        crop_padding: int,
        cutout: int,
        stream: bool | str,
        max_resident_gb: float,
        num_workers: int,
        val_every_n_steps: int,
        targets: Sequence[float],
    ) -> None:
        self.arrays, self.seed, self.name, self.flip = arrays, seed, name, flip
        total = len(arrays.train_images)
        check_sizes(total, arrays.image_size, batch_size, val_size, crop_padding, cutout)
        self.val_size = _val_count(val_size, total)
        self.train_size, self.test_size = total - self.val_size, len(arrays.test_images)
        self.batch_size, self.crop_padding, self.cutout = batch_size, crop_padding, cutout
        self.num_workers = num_workers
        self.val_every_n_steps = val_every_n_steps
        self.targets = tuple(float(target) for target in targets)
        self.streams = arrays.nbytes > max_resident_gb * 1e9 if stream == "auto" else bool(stream)

        self.in_channels, self.image_size = arrays.in_channels, arrays.image_size
        self.num_classes, self.classes = arrays.num_classes, arrays.classes
        self.steps_per_epoch = self.train_size // self.batch_size
        self._split = split(arrays, self.val_size)
        self.mean, self.std = (
            self._split.mean,
            self._split.std,
        )  # (C,), of the training split, in [0, 1] units
        self._affine: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self._generator: dict[torch.device, torch.Generator] = {}

    def loader(self, stage: str, device: torch.device, *, rank: int = 0, world: int = 1) -> Loader:
        """The batches of "train", "val" or "test" for one rank; also for loops without a Lightning Trainer.

        Raises ValueError if the data cannot be divided among `world` ranks.
        """
        indices = {
            "train": self._split.train,
            "val": self._split.val,
            "test": torch.arange(self.test_size),
        }[stage]
        if stage == "train" and self.batch_size % world:
            raise ValueError(f"batch_size={self.batch_size} must be divisible by the number of devices, {world}")
        if len(indices) < world:
            held = count(len(indices), f"{stage} image")
            raise ValueError(f"{held} cannot be shared out over {world} devices")
        if stage == "train":
            sampler = Batches(indices, self.batch_size, seed=self.seed, rank=rank, world=world)
        else:
            sampler = Batches(indices, _EVALUATION_BATCH_SIZE, rank=rank, world=world)
        images, labels = self._tensors("test" if stage == "test" else "train", device)
        if not self.streams:
            return Loader(images, labels, sampler)
        return Loader(images, labels, sampler, workers=self.num_workers, pin_memory=device.type == "cuda")

    def fixed_batch(self, device: torch.device) -> Batch:
        """The images of the first training batch, normalised and not augmented, with their labels.

        It is the same on every rank and for every initializer; initializers from data and diagnostics use it.
        """
        images, labels = self._tensors("train", device)
        index = next(iter(Batches(self._split.train, self.batch_size, seed=self.seed))).to(images.device)
        return self._normalise(images[index].to(device)), labels[index].to(device)

    def prepare(self, images: Tensor, *, step: int | None = None, rank: int = 0) -> Tensor:
        """uint8 images (N, C, S, S) to normalised float32, augmented as in training step `step` if given."""
        generator = None
        if step is not None and (self.flip or self.crop_padding or self.cutout):
            generator = self._generator.setdefault(images.device, torch.Generator(images.device))
            generator.manual_seed(derive_seed(self.seed, AUGMENT, step, rank))
        if generator and self.flip:
            images = augment.flip(images, generator)
        if generator and self.crop_padding:
            images = augment.crop(images, self.crop_padding, generator)
        normalised = self._normalise(images)
        return augment.cutout(normalised, self.cutout, generator) if generator and self.cutout else normalised

    def _normalise(self, images: Tensor) -> Tensor:
        """(x / 255 - mean) / std, as one multiplication and one addition."""
        if images.device not in self._affine:
            scale, shift = 1 / (255 * self.std), -self.mean / self.std
            self._affine[images.device] = (
                scale.view(-1, 1, 1).to(images.device),
                shift.view(-1, 1, 1).to(images.device),
            )
        scale, shift = self._affine[images.device]
        return images.to(torch.float32).mul_(scale).add_(shift)

    def _tensors(self, part: str, device: torch.device) -> tuple[Tensor, Tensor]:
        resident = torch.device("cpu") if self.streams else device
        train, test = _on_device(self.arrays, resident)
        return train if part == "train" else test


@lru_cache(maxsize=1)  # a sweep uploads its dataset once; another dataset takes its place
def _on_device(arrays: Arrays, device: torch.device) -> tuple[Batch, Batch]:
    train = arrays.train_images.to(device), arrays.train_labels.to(device)
    return train, (arrays.test_images.to(device), arrays.test_labels.to(device))


def check_sizes(
    total: int, image_size: int, batch_size: int, val_size: int | float, crop_padding: int, cutout: int
) -> None:
    """Raise ValueError for settings that `total` training images, `image_size` pixels a side, are too few for."""
    for name, value, most, what in (
        ("batch_size", batch_size, total - _val_count(val_size, total), ("image to train on", "images to train on")),
        ("crop_padding", crop_padding, image_size - 1, ("pixel that a reflection has", "pixels that a reflection has")),
        ("cutout", cutout, image_size, ("pixel of a side", "pixels of a side")),
    ):
        if value > most:
            raise ValueError(f"data.{name}={value} is more than the {count(most, *what)}")


def _val_count(val_size: int | float, total: int) -> int:
    """Images held out of `total`: at least one, and at least one is left to train on."""
    held_out = round(val_size * total) if isinstance(val_size, float) else val_size
    if total < 2:
        raise ValueError(f"{count(total, 'training image')}: at least 2 are needed, one to train on and one held out")
    if not 0 < held_out < total:
        raise ValueError(
            f"data.val_size={val_size} holds {held_out} of {total} training images out: 1 to {total - 1} can be"
        )
    return held_out
