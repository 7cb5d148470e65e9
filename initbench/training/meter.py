"""Loss and accuracy summed on the device, fetched when they are wanted: no host-device sync in a step."""

from collections.abc import Callable

import torch
from torch import Tensor


class Meter:
    """Sums over samples since the last `compute`."""

    def __init__(self) -> None:
        self.sums: Tensor | None = None  # of loss, correct and samples; part of a checkpoint

    @torch.no_grad()
    def update(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add one batch: its mean loss (a scalar), logits (N, classes) and labels (N,)."""
        count = len(labels)
        correct = (logits.argmax(dim=1) == labels).sum()
        sums = torch.stack([loss.detach().float() * count, correct.float(), correct.new_tensor(count).float()])
        self.sums = sums if self.sums is None else self.sums + sums

    def compute(self, reduce: Callable[[Tensor], Tensor]) -> dict[str, float]:
        """Mean loss and accuracy, summed over processes by `reduce`; starts anew."""
        if self.sums is None:
            raise RuntimeError("a meter was read before any batch")
        loss, correct, count = reduce(self.sums).tolist()
        self.sums = None
        return {"loss": loss / count, "accuracy": correct / count}
