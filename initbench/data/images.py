"""Images resident on the training device, prepared there batch by batch."""

from functools import lru_cache

import torch
from torch import Tensor

from initbench.data import augment
from initbench.data.arrays import Arrays
from initbench.data.base import Data, Settings, check_sizes, val_count
from initbench.data.batches import Batch
from initbench.data.seeding import AUGMENT, derive_seed
from initbench.data.split import split


class ImageData(Data):
    """Batches of uint8 images, which `prepare` makes normalized and, while training, augmented float32.

    seed: of the order of the images; augmentation: of flips, crops and cutouts, `seed` unless given; split_seed: of the
    validation split, which is the same for every run unless given.
    """

    def __init__(
        self,
        arrays: Arrays,
        settings: Settings,
        *,
        seed: int,
        augmentation: int | None = None,
        split_seed: int | None = None,
    ) -> None:
        super().__init__(settings, seed=seed, nbytes=arrays.nbytes)
        self.arrays, self.sizes = arrays, arrays.sizes
        check_sizes(self.sizes, settings)
        self.augmentation = seed if augmentation is None else augmentation
        self._split = split(arrays, val_count(settings.val_size, self.sizes), split_seed)
        self.train, self.val = self._split.train, self._split.val
        # (C,), of the images that are trained on, in [0, 1] units
        self.mean, self.std = self._split.mean, self._split.std
        self._affine: dict[torch.device, tuple[Tensor, Tensor]] = {}
        self._generator: dict[torch.device, torch.Generator] = {}

    def tensors(self, part: str, device: torch.device) -> Batch:
        train, test = _on_device(self.arrays, device)
        return train if part == "train" else test

    def prepare(self, inputs: Tensor, *, step: int | None = None, rank: int = 0) -> Tensor:
        """uint8 images (N, C, S, S) to normalized float32, augmented as in training step `step` if given."""
        chosen = self.settings
        generator = None
        if step is not None and (chosen.flip or chosen.crop_padding or chosen.cutout):
            generator = self._generator.setdefault(inputs.device, torch.Generator(inputs.device))
            generator.manual_seed(derive_seed(self.augmentation, AUGMENT, step, rank))
        if generator and chosen.flip:
            inputs = augment.flip(inputs, generator)
        if generator and chosen.crop_padding:
            inputs = augment.crop(inputs, chosen.crop_padding, generator)
        normalized = self._normalize(inputs)
        return augment.cutout(normalized, chosen.cutout, generator) if generator and chosen.cutout else normalized

    def _normalize(self, images: Tensor) -> Tensor:
        """(x / 255 - mean) / std, as one multiplication and one addition."""
        if images.device not in self._affine:
            scale, shift = 1 / (255 * self.std), -self.mean / self.std
            self._affine[images.device] = (
                scale.view(-1, 1, 1).to(images.device),
                shift.view(-1, 1, 1).to(images.device),
            )
        scale, shift = self._affine[images.device]
        return images.to(torch.float32).mul_(scale).add_(shift)


@lru_cache(maxsize=1)  # a sweep uploads its dataset once; another dataset takes its place
def _on_device(arrays: Arrays, device: torch.device) -> tuple[Batch, Batch]:
    train = arrays.train_images.to(device), arrays.train_labels.to(device)
    return train, (arrays.test_images.to(device), arrays.test_labels.to(device))
