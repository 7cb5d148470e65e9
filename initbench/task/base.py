"""What a task is: batches in, loss and score out."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from initbench.metric import Metric

Reduction = Literal["mean", "none"]


class Task(ABC):
    """What a model learns from a dataset. A new task is a subclass and a file in conf/task/.

    A subclass takes the sizes of the data as its first argument, and raises ValueError for data that do not suit it.

    Attributes:
        metric: what runs are judged by; an instance sets its chance level, the value of a model that knows nothing.
        chance_loss: the loss of a model that knows nothing; None if it is not known.
        outputs: the shape of what a model returns for one sample.
        given: keyword arguments that models may take, besides the sizes of the inputs.
        targets: the values of the metric that training is timed to; None: those of the dataset.
    """

    metric: Metric
    chance_loss: float | None
    outputs: tuple[int, ...]
    given: Mapping[str, int]
    targets: Sequence[float] | None = None

    def batch(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The model's inputs, and what its outputs are compared with, from a batch of the dataset."""
        return inputs, targets

    @abstractmethod
    def loss(
        self, outputs: Tensor, targets: Tensor, *, training: bool = False, reduction: Reduction = "mean"
    ) -> Tensor:
        """The loss, averaged over all predictions, or that of each prediction, as a tensor of one dimension."""

    def measure(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The value of each prediction whose mean is the metric, in the shape of `targets`.

        It is not called where the metric is the loss. In packs, both have one dimension more at the front.
        """
        raise NotImplementedError(f"{type(self).__name__} is judged by {self.metric.name} and has to measure it")

    @property
    def measures(self) -> tuple[str, ...]:
        """The names of what is averaged over predictions."""
        return ("loss",) if self.metric.name == "loss" else ("loss", self.metric.name)

    def sums(self, losses: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        """(..., k + 1) for the k `measures`: the sum of each over the predictions, and their number.

        losses: (...), the mean loss of each model of a pack; a scalar without a pack.
        """
        models = losses.dim()
        count = math.prod(targets.shape[models:])
        each = [losses.detach().float() * count]
        if len(self.measures) > 1:
            each.append(self.measure(outputs.detach(), targets).detach().flatten(models).sum(-1).float())
        return torch.stack([*each, torch.full_like(each[0], count)], dim=-1)

    @torch.no_grad()
    def values(self, outputs: Tensor, targets: Tensor, *, models: int = 0) -> Tensor:
        """The metric of each sample, (N,): the mean over its predictions. In packs, where `models` is 1: (R, N).

        NaN for a task of the user's own whose loss is always averaged, whatever `reduction` is.
        """
        if self.metric.name == "loss":
            each = self.loss(outputs.flatten(0, models), targets.flatten(0, models), reduction="none")
        else:
            each = self.measure(outputs, targets)
        samples = targets.shape[: models + 1]
        if each.numel() % math.prod(samples):
            return torch.full(samples, torch.nan, device=targets.device)
        return each.reshape(*samples, -1).float().mean(-1)

    @torch.no_grad()
    def of_samples(self, outputs: Tensor, targets: Tensor, *, with_outputs: bool, models: int = 0) -> Tensor:
        """What a record keeps of each sample, (N, C): its metric and, if wanted, its outputs; in packs (R, N, C)."""
        values = self.values(outputs, targets, models=models).unsqueeze(-1)
        if not with_outputs:
            return values
        return torch.cat([values, outputs.float().reshape(*values.shape[:-1], -1)], dim=-1)

    def means(self, sums: Sequence[float]) -> dict[str, float]:
        """The mean of each of the `measures`, from their sums and the number of predictions."""
        *totals, count = sums
        return {name: total / count for name, total in zip(self.measures, totals, strict=True)}
