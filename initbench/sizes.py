"""The sizes of a dataset, which its model and its task have to fit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from initbench.wording import count


@dataclass(frozen=True)
class Sizes:
    """How many samples a dataset has to train on, what a sample is, and what belongs to it.

    Attributes:
        train_size: the number of training samples, those held out for validation included.
        input_shape: of one sample: an image (C, S, S), a row of numbers (F,), or a text of T tokens (T,).
        num_classes: of labels; None where targets are no labels.
        target_size: how many numbers are to be predicted for a sample; None where targets are no numbers.
        vocab_size: of tokens; None for other inputs.
        target_variance: of the numbers that are to be predicted; None where it is not known before the data is read.
        entropy: the loss per token, in nats, of whoever knows how a text was made; None where nobody does.
    """

    train_size: int
    input_shape: tuple[int, ...]
    num_classes: int | None = None
    target_size: int | None = None
    vocab_size: int | None = None
    target_variance: float | None = None
    entropy: float | None = None

    @property
    def has_images(self) -> bool:
        """Whether the samples are images."""
        return len(self.input_shape) == 3

    @property
    def what(self) -> str:
        """What the samples are, in words."""
        shape = "x".join(map(str, self.input_shape))
        if self.has_images:
            return f"{shape} images"
        if self.vocab_size is not None:
            return f"texts of {count(self.input_shape[0], 'token')}"
        return f"rows of {count(self.input_shape[0], 'number')}"

    @property
    def sample(self) -> str:
        """The word for one sample."""
        if self.has_images:
            return "image"
        return "row" if self.vocab_size is None else "text"

    @property
    def given(self) -> Mapping[str, int]:
        """What models may take as arguments: the sizes of the inputs."""
        if self.vocab_size is not None:
            return {"vocab_size": self.vocab_size, "context_length": self.input_shape[0]}
        features = {"in_features": math.prod(self.input_shape)}
        if self.has_images:
            return {"in_channels": self.input_shape[0], "image_size": self.input_shape[1], **features}
        return features
