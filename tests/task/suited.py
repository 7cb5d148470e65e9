"""Data of every kind and the tasks that suit them, and tasks of one's own."""

from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.metric import Metric
from initbench.sizes import Sizes
from initbench.task import Task

SIZES = {
    "images": Sizes(100, (1, 6, 6), num_classes=4),
    "rows with numbers": Sizes(100, (3,), target_size=2, target_variance=1.0),
    "rows with labels": Sizes(100, (3,), num_classes=4),
    "text": Sizes(100, (8,), vocab_size=11, entropy=0.5),
}
SUITED = {
    "classification": {"images", "rows with labels"},
    "regression": {"rows with numbers"},
    "autoencoder": {"images", "rows with numbers", "rows with labels"},
    "language_model": {"text"},
}


def batch(sizes: Sizes, count: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets as the data would give them."""
    if sizes.vocab_size is not None:
        return tuple(torch.randint(sizes.vocab_size, (count, *sizes.input_shape)) for _ in range(2))  # type: ignore[return-value]  # of two
    inputs = torch.randn(count, *sizes.input_shape)
    if sizes.num_classes is not None:
        return inputs, torch.randint(sizes.num_classes, (count,))
    assert sizes.target_size is not None
    return inputs, torch.randn(count, sizes.target_size)


class Median(Task):
    """The absolute error, by which it is also judged."""

    def __init__(self, sizes: Sizes) -> None:
        assert sizes.target_size is not None
        self.metric = Metric("loss", "test absolute error", higher_is_better=False)
        self.chance_loss, self.outputs, self.given = None, (sizes.target_size,), {"out_features": sizes.target_size}

    def loss(
        self, outputs: torch.Tensor, targets: torch.Tensor, *, training: bool = False, reduction: Any = "mean"
    ) -> torch.Tensor:
        error = F.l1_loss(outputs, targets, reduction=reduction)
        return error if reduction == "mean" else error.flatten()


class Weighed(Median):
    """Judged by an error that has a weight, as learned distances have."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.metric = Metric("weighed", "test weighed error", higher_is_better=False)
        self.weight = torch.nn.Parameter(torch.tensor(2.0))

    def measure(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.weight * (outputs - targets).abs()
