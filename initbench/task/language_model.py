"""Language modeling: the next token at every position of a text."""

import math
from dataclasses import replace

from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.metric import Metric
from initbench.schema.ranges import HalfOpenFraction, PositiveFloat
from initbench.sizes import Sizes
from initbench.task.base import Reduction, Task

LOSS = Metric("loss", "test loss", higher_is_better=False, unit="nats")


class LanguageModel(Task):
    """Cross-entropy of logits (N, T, vocabulary) with the tokens that follow, (N, T); judged by this loss, in nats.

    A model that knows nothing loses ln(vocabulary) per token. label_smoothing: the share of each training target that
    is spread over the whole vocabulary (Szegedy et al. 2016). targets: losses.

    Raises ValueError for data without tokens.
    """

    metric = LOSS

    def __init__(
        self, sizes: Sizes, *, label_smoothing: HalfOpenFraction = 0.0, targets: list[PositiveFloat] | None = None
    ) -> None:
        if sizes.vocab_size is None:
            raise ValueError(f"task=language_model needs tokens, and the data has {sizes.what}")
        self.label_smoothing, self.targets = label_smoothing, targets
        self.chance_loss = math.log(sizes.vocab_size)
        self.metric = replace(LOSS, perfect=sizes.entropy, chance=self.chance_loss)
        self.outputs = (*sizes.input_shape, sizes.vocab_size)
        self.given = {}

    def loss(
        self, outputs: Tensor, targets: Tensor, *, training: bool = False, reduction: Reduction = "mean"
    ) -> Tensor:
        return F.cross_entropy(
            outputs.flatten(0, -2),
            targets.flatten().long(),
            label_smoothing=self.label_smoothing if training else 0.0,
            reduction=reduction,
        )
