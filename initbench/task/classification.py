"""Classification: which of several classes an input belongs to."""

import math

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.metric import ACCURACY
from initbench.schema.ranges import HalfOpenFraction, OpenFraction
from initbench.sizes import Sizes
from initbench.task.base import Reduction, Task


class Classification(Task):
    """Cross-entropy of logits (N, classes) with labels (N,); judged by accuracy.

    label_smoothing: the share of each training label that is spread over all classes (Szegedy et al. 2016).
    targets: accuracies.

    Raises ValueError for data without classes.
    """

    metric = ACCURACY

    def __init__(
        self, sizes: Sizes, *, label_smoothing: HalfOpenFraction = 0.0, targets: list[OpenFraction] | None = None
    ) -> None:
        if sizes.num_classes is None:
            instead = "; task=regression predicts their numbers" if sizes.target_size else ""
            raise ValueError(f"task=classification needs data with classes, and the {sizes.what} have none{instead}")
        self.label_smoothing, self.targets = label_smoothing, targets
        self.metric = ACCURACY.at_chance(1 / sizes.num_classes)
        self.chance_loss = math.log(sizes.num_classes)
        self.outputs = (sizes.num_classes,)
        self.given = {"num_classes": sizes.num_classes, "out_features": sizes.num_classes}

    def loss(
        self, outputs: Tensor, targets: Tensor, *, training: bool = False, reduction: Reduction = "mean"
    ) -> Tensor:
        smoothing = self.label_smoothing if training else 0.0
        return F.cross_entropy(outputs, targets, label_smoothing=smoothing, reduction=reduction)

    def measure(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.argmax(dim=-1) == targets
