"""The training, validation and test batches of a dataset, whatever its samples are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from initbench.data.batches import Batch, Batches, Loader
from initbench.sizes import Sizes
from initbench.wording import count


@dataclass(frozen=True)
class Settings:
    """The keys that all datasets share; initbench/schema/config.py has their types and ranges.

    Under DDP, `batch_size` is the global one, divided among the ranks.
    """

    name: str
    batch_size: int
    val_size: int | float
    val_every_n_steps: int
    targets: Sequence[float]
    flip: bool
    crop_padding: int
    cutout: int
    stream: bool | str
    max_resident_gb: float
    num_workers: int


class Data(ABC):
    """A dataset with the settings of a run.

    Loaders yield samples as they are stored; `prepare` makes of them, on the device, what the model gets.

    Attributes:
        sizes: what models and tasks have to fit.
        train: the indices of the samples that are trained on.
        val: the indices of the training samples that are held out, in every run the same unless `seeds.split` is set.
        evaluation_batch_size: how many samples are evaluated at once.
        keeps_outputs: whether records keep the model's outputs on the test set, as they can be drawn.

    Raises ValueError for settings that do not suit the data.
    """

    sizes: Sizes
    train: Tensor
    val: Tensor
    evaluation_batch_size = 1000
    keeps_outputs = False

    def __init__(self, settings: Settings, *, seed: int, nbytes: int) -> None:
        self.settings, self.seed, self.name = settings, seed, settings.name
        self.batch_size, self.val_every_n_steps = settings.batch_size, settings.val_every_n_steps
        self.targets = tuple(float(target) for target in settings.targets)
        self.streams = nbytes > settings.max_resident_gb * 1e9 if settings.stream == "auto" else bool(settings.stream)

    @abstractmethod
    def tensors(self, part: str, device: torch.device) -> Batch:
        """All inputs and targets of "train", which has the samples held out too, or of "test", on a device."""

    @abstractmethod
    def prepare(self, inputs: Tensor, *, step: int | None = None, rank: int = 0) -> Tensor:
        """What the model gets of stored inputs, augmented as in training step `step` if given."""

    @property
    def steps_per_epoch(self) -> int:
        return len(self.train) // self.batch_size

    def loader(self, stage: str, device: torch.device, *, rank: int = 0, world: int = 1) -> Loader:
        """The batches of "train", "val" or "test" for one rank; also for loops without a Lightning Trainer.

        Raises ValueError if the data cannot be divided among `world` ranks.
        """
        inputs, targets = self._kept("test" if stage == "test" else "train", device)
        indices = {"train": self.train, "val": self.val, "test": torch.arange(len(inputs))}[stage]
        if stage == "train" and self.batch_size % world:
            raise ValueError(f"batch_size={self.batch_size} must be divisible by the number of devices, {world}")
        if len(indices) < world:
            held = count(len(indices), f"{stage} {self.sizes.sample}")
            raise ValueError(f"{held} cannot be shared out over {world} devices")
        if stage == "train":
            sampler = Batches(indices, self.batch_size, seed=self.seed, rank=rank, world=world)
        else:
            sampler = Batches(indices, self.evaluation_batch_size, rank=rank, world=world)
        if not self.streams:
            return Loader(inputs, targets, sampler)
        workers = self.settings.num_workers
        return Loader(inputs, targets, sampler, workers=workers, pin_memory=device.type == "cuda")

    def fixed_batch(self, device: torch.device) -> Batch:
        """The first training batch, not augmented.

        It is the same on every rank and for every initializer; initializers from data and diagnostics use it.
        """
        inputs, targets = self._kept("train", device)
        index = next(iter(Batches(self.train, self.batch_size, seed=self.seed))).to(inputs.device)
        return self.prepare(inputs[index].to(device)), targets[index].to(device)

    def _kept(self, part: str, device: torch.device) -> Batch:
        return self.tensors(part, torch.device("cpu") if self.streams else device)


def check_sizes(sizes: Sizes, settings: Settings) -> None:
    """Raise ValueError for settings that the data is too small for, and for those of images where there are none."""
    total, what = sizes.train_size, sizes.sample
    limits = [
        (
            "batch_size",
            settings.batch_size,
            total - val_count(settings.val_size, sizes),
            (f"{what} to train on", f"{what}s to train on"),
        )
    ]
    if sizes.has_images:
        side = sizes.input_shape[1]
        limits += [
            (
                "crop_padding",
                settings.crop_padding,
                side - 1,
                ("pixel that a reflection has", "pixels that a reflection has"),
            ),
            ("cutout", settings.cutout, side, ("pixel of a side", "pixels of a side")),
        ]
    else:
        for name in ("flip", "crop_padding", "cutout"):
            if value := getattr(settings, name):
                raise ValueError(f"data.{name}={value} is for images, and data={settings.name} has {sizes.what}")
    for name, value, most, words in limits:
        if value > most:
            raise ValueError(f"data.{name}={value} is more than the {count(most, *words)}")


def val_count(val_size: int | float, sizes: Sizes) -> int:
    """Samples held out for validation: at least one, and at least one is left to train on."""
    total, what = sizes.train_size, sizes.sample
    held_out = round(val_size * total) if isinstance(val_size, float) else val_size
    if total < 2:
        raise ValueError(f"{count(total, f'training {what}')}: at least 2 are needed, one to train on and one held out")
    if not 0 < held_out < total:
        raise ValueError(
            f"data.val_size={val_size} holds {held_out} of {total} training {what}s out: 1 to {total - 1} can be"
        )
    return held_out
