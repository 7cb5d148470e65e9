"""Regression: one number or several for each input."""

from collections.abc import Callable
from typing import Literal

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.metric import Metric
from initbench.schema.ranges import PositiveFloat
from initbench.sizes import Sizes
from initbench.task.base import Reduction, Task

MSE = Metric("mse", "test MSE", higher_is_better=False, perfect=0.0)

_LOSSES: dict[str, Callable[..., Tensor]] = {"mse": F.mse_loss, "l1": F.l1_loss, "huber": F.huber_loss}


class Regression(Task):
    """Numbers (N, K), of which each column is standardized; judged by the mean squared error.

    loss: what is trained on: the squared error, the absolute error, or Huber's (1964), which is quadratic up to an
    error of 1. targets: mean squared errors.

    Raises ValueError for data without numbers to predict.
    """

    metric = MSE

    def __init__(
        self, sizes: Sizes, *, loss: Literal["mse", "l1", "huber"] = "mse", targets: list[PositiveFloat] | None = None
    ) -> None:
        if sizes.target_size is None:
            instead = "; task=classification predicts their classes" if sizes.num_classes else ""
            raise ValueError(f"task=regression needs numbers to predict, and the {sizes.what} have none{instead}")
        self._loss, self.targets = _LOSSES[loss], targets
        self.metric = MSE.at_chance(sizes.target_variance)
        self.chance_loss = sizes.target_variance if loss == "mse" else None
        self.outputs = (sizes.target_size,)
        self.given = {"out_features": sizes.target_size}

    def loss(
        self, outputs: Tensor, targets: Tensor, *, training: bool = False, reduction: Reduction = "mean"
    ) -> Tensor:
        error: Tensor = self._loss(outputs, targets.to(outputs.dtype), reduction=reduction)
        return error if reduction == "mean" else error.flatten()

    def measure(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).float().square()
