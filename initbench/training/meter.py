"""Loss and metric summed on the device, fetched when they are wanted: no host-device sync in a step."""

from collections.abc import Callable

from torch import Tensor

from initbench.task import Task


class Meter:
    """Sums over predictions since the last `compute`; with `keeps_values` also the metric of each sample.

    keeps_outputs: together with these values, also the model's outputs.
    """

    def __init__(self, task: Task, *, keeps_values: bool = False, keeps_outputs: bool = False) -> None:
        self.task = task
        self.keeps_values, self.keeps_outputs = keeps_values, keeps_outputs
        self.values: list[Tensor] = []  # batch by batch, (N, C) each: see Task.of_samples
        self.sums: Tensor | None = None  # of what the task measures, and of predictions; part of a checkpoint

    def update(self, loss: Tensor, outputs: Tensor, targets: Tensor) -> None:
        """Add one batch: its mean loss (a scalar), outputs and targets."""
        sums = self.task.sums(loss, outputs, targets)
        self.sums = sums if self.sums is None else self.sums + sums
        if self.keeps_values:
            self.values.append(self.task.of_samples(outputs, targets, with_outputs=self.keeps_outputs))

    def compute(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Mean loss and metric, summed over processes by `reduce`; starts anew."""
        if self.sums is None:
            raise RuntimeError("a meter was read before any batch")
        means = self.task.means(reduce(self.sums).tolist())
        self.sums = None
        return means
