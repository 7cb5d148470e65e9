"""Rows of numbers, with labels or with numbers to predict."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from initbench.data.base import Data, Settings, check_sizes, val_count
from initbench.data.batches import Batch
from initbench.data.files import always
from initbench.data.split import held_out
from initbench.sizes import Sizes

Held = tuple[int, int | None]  # how many rows are held out for validation, and by which seed


@dataclass(frozen=True, eq=False)  # compared and hashed by identity: standardized copies are cached
class Vectors:
    """A dataset of rows: float32 inputs (N, F), and targets that are int64 labels (N,) or float32 numbers (N, K).

    `classes` names the classes of labels; it is empty for numbers. `is_current` tells a process that has cached
    the rows whether their files are unchanged. `keeps_outputs`: records keep the model's outputs on the test set.

    Raises ValueError for an empty split, other types and shapes, numbers that are not finite, labels outside the
    classes, and numbers to predict that are all the same.
    """

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: tuple[str, ...] = ()
    is_current: Callable[[], bool] = always
    keeps_outputs: bool = False

    def __post_init__(self) -> None:
        for split, inputs, targets in self._splits():
            if len(inputs) == 0:
                raise ValueError(f"the {split} set is empty")
            if inputs.dtype != torch.float32 or inputs.dim() != 2:
                got = f"{inputs.dtype} {tuple(inputs.shape)}"
                raise ValueError(f"{split} inputs must be float32 of shape (N, features), got {got}")
            wanted = (
                (torch.int64, 1, "int64 of shape (N,)")
                if self.classes
                else (torch.float32, 2, "float32 of shape (N, K)")
            )
            if targets.dtype != wanted[0] or targets.dim() != wanted[1] or len(targets) != len(inputs):
                got = f"{targets.dtype} {tuple(targets.shape)}"
                raise ValueError(f"{split} targets must be {wanted[2]} for {len(inputs)} inputs, got {got}")
            for what, values in (("inputs", inputs), ("targets", targets)):
                if not values.isfinite().all():
                    row = int((~values.isfinite()).nonzero()[0, 0])
                    raise ValueError(f"{split} {what} must be finite numbers, and row {row} has one that is not")
            if self.classes and not 0 <= int(targets.min()) <= int(targets.max()) < len(self.classes):
                low, high = int(targets.min()), int(targets.max())
                raise ValueError(f"{split} labels must lie in [0, {len(self.classes) - 1}], got [{low}, {high}]")
        if self.train_inputs.shape[1] != self.test_inputs.shape[1]:
            shapes = [inputs.shape[1] for inputs in (self.train_inputs, self.test_inputs)]
            raise ValueError(f"train inputs have {shapes[0]} features but test inputs have {shapes[1]}")
        if not self.classes and bool((self.train_targets == self.train_targets[0]).all()):
            raise ValueError("the targets to train on are all the same: there is nothing to predict")

    @property
    def sizes(self) -> Sizes:
        """How many samples there are to train on, and what a sample is."""
        labels = bool(self.classes)
        return Sizes(
            len(self.train_inputs),
            tuple(self.train_inputs.shape[1:]),
            num_classes=len(self.classes) if labels else None,
            target_size=None if labels else self.train_targets.shape[1],
            target_variance=None if labels else 1.0,  # they are standardized
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all inputs, as needed to keep them on a device."""
        return self.train_inputs.nbytes + self.test_inputs.nbytes

    def _splits(self) -> list[tuple[str, Tensor, Tensor]]:
        return [
            ("train", self.train_inputs, self.train_targets),
            ("test", self.test_inputs, self.test_targets),
        ]


class VectorData(Data):
    """Batches of rows. Each column of inputs, and of numbers to predict, has mean 0 and variance 1 in training."""

    def __init__(self, vectors: Vectors, settings: Settings, *, seed: int, split_seed: int | None = None) -> None:
        super().__init__(settings, seed=seed, nbytes=vectors.nbytes)
        self.vectors, self.sizes, self.keeps_outputs = vectors, vectors.sizes, vectors.keeps_outputs
        check_sizes(self.sizes, settings)
        self._held_out = (val_count(settings.val_size, self.sizes), split_seed)
        self.train, self.val = held_out(self.sizes.train_size, *self._held_out)

    def tensors(self, part: str, device: torch.device) -> Batch:
        train, test = _on_device(self.vectors, self._held_out, device)
        return train if part == "train" else test

    def prepare(self, inputs: Tensor, *, step: int | None = None, rank: int = 0) -> Tensor:
        return inputs


def statistics(values: Tensor, held: Held) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column (N, K) over the rows that are trained on, in float64."""
    trained, _ = held_out(len(values), *held)
    known = values[trained].double()
    std = known.std(0, correction=0)
    return known.mean(0), std.where(std > 0, 1.0)  # a column that never varies becomes 0


@lru_cache(maxsize=1)
def _on_device(vectors: Vectors, held: Held, device: torch.device) -> tuple[Batch, Batch]:
    """Both splits, standardized by the statistics of what is trained on."""

    def standardized(train: Tensor, test: Tensor) -> tuple[Tensor, Tensor]:
        if not train.is_floating_point():
            return train.to(device), test.to(device)
        mean, std = statistics(train, held)
        train, test = (((part.double() - mean) / std).float().to(device) for part in (train, test))
        return train, test

    inputs = standardized(vectors.train_inputs, vectors.test_inputs)
    targets = standardized(vectors.train_targets, vectors.test_targets)
    return (inputs[0], targets[0]), (inputs[1], targets[1])
