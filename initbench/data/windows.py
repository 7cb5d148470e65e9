"""Texts as token ids, cut into windows of equal length; the targets are the tokens that follow."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from initbench.data.base import Data, Settings, check_sizes, val_count
from initbench.data.batches import Batch
from initbench.data.files import always
from initbench.data.seeding import SPLIT, derive_seed
from initbench.sizes import Sizes
from initbench.wording import count


@dataclass(frozen=True, eq=False)
class Tokens:
    """A text to train on and one for testing: token ids (N,), of any integer type; they may be memory-mapped.

    context_length: how many tokens a model sees at once. entropy: the least loss per token that is possible, in nats,
    where it is known. is_current: tells a process that has cached it whether its files are unchanged.

    Raises ValueError for other types and shapes, for texts that are no longer than a context, and for ids outside the
    vocabulary.
    """

    train: Tensor
    test: Tensor
    vocab_size: int
    context_length: int
    entropy: float | None = None
    is_current: Callable[[], bool] = always

    def __post_init__(self) -> None:
        for split, ids in (("train", self.train), ("test", self.test)):
            if ids.dim() != 1 or ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
                raise ValueError(f"{split} tokens must be integers of shape (N,), got {ids.dtype} {tuple(ids.shape)}")
            if len(ids) <= self.context_length:
                held = count(len(ids), "token")
                raise ValueError(
                    f"the {split} text has {held}, no more than data.context_length={self.context_length}: "
                    "a window needs one token more"
                )
            low, high = int(ids.numpy().min()), int(ids.numpy().max())  # torch lacks some types, and would copy others
            if not 0 <= low <= high < self.vocab_size:
                raise ValueError(f"{split} tokens must lie in [0, {self.vocab_size - 1}], got [{low}, {high}]")

    @property
    def sizes(self) -> Sizes:
        """How many samples there are to train on, and what a sample is."""
        windows = (len(self.train) - 1) // self.context_length
        return Sizes(windows, (self.context_length,), vocab_size=self.vocab_size, entropy=self.entropy)

    def windows(self, split: str) -> Batch:
        """Inputs and targets, (windows, context_length) each: views of the text, one token apart."""
        ids = self.train if split == "train" else self.test
        length = self.context_length
        return ids[:-1].unfold(0, length, length), ids[1:].unfold(0, length, length)


class TokenData(Data):
    """Batches of windows of a text. The last windows of the training text are held out for validation.

    split_seed: hold out as many successive windows from anywhere else.
    """

    def __init__(self, tokens: Tokens, settings: Settings, *, seed: int, split_seed: int | None = None) -> None:
        super().__init__(settings, seed=seed, nbytes=tokens.train.nbytes + tokens.test.nbytes)
        self.tokens, self.sizes = tokens, tokens.sizes
        check_sizes(self.sizes, settings)
        order = torch.arange(self.sizes.train_size)
        if split_seed is not None:
            order = order.roll(derive_seed(split_seed, SPLIT) % len(order))
        held = val_count(settings.val_size, self.sizes)
        self.train, self.val = order[:-held], order[-held:]
        self.evaluation_batch_size = self.batch_size  # the outputs are large: a number for each token of the vocabulary

    def tensors(self, part: str, device: torch.device) -> Batch:
        inputs, targets = self.tokens.windows(part)
        return inputs.to(device), targets.to(device)

    def prepare(self, inputs: Tensor, *, step: int | None = None, rank: int = 0) -> Tensor:
        return inputs.long()
