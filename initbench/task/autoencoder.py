"""Autoencoding: the inputs again, through whatever bottleneck the model has."""

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.schema.ranges import PositiveFloat
from initbench.sizes import Sizes
from initbench.task.base import Reduction, Task
from initbench.task.regression import MSE


class Autoencoder(Task):
    """The mean squared error between outputs and inputs, which are normalized; labels are ignored.

    The inputs have mean 0 and variance 1, in each channel or column: a model that knows nothing loses 1.

    targets: mean squared errors. Raises ValueError for tokens.
    """

    metric = MSE

    def __init__(self, sizes: Sizes, *, targets: list[PositiveFloat]) -> None:
        if sizes.vocab_size is not None:
            raise ValueError(f"task=autoencoder needs numbers, and the data has {sizes.what}")
        self.targets = targets
        self.metric, self.chance_loss = MSE.at_chance(1.0), 1.0
        self.outputs = sizes.input_shape
        self.given = {}

    def batch(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return inputs, inputs

    def loss(
        self, outputs: Tensor, targets: Tensor, *, training: bool = False, reduction: Reduction = "mean"
    ) -> Tensor:
        error = F.mse_loss(outputs, targets.to(outputs.dtype), reduction=reduction)
        return error if reduction == "mean" else error.flatten()

    def measure(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).float().square()
