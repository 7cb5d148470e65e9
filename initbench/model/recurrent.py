"""Recurrent networks that read an image row by row, or a text token by token.

By rows, like the sequential MNIST of Le et al. (2015), which reads pixels.
"""

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from initbench.schema.ranges import PositiveInt


class RowClassifier(nn.Module):
    """A recurrent network that runs over the rows from top to bottom, and a linear classifier of its last state.

    `recurrent` must be batch-first and take image_size * in_channels features per step.
    """

    def __init__(self, recurrent: nn.RNNBase, num_classes: int) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.classifier = nn.Linear(recurrent.hidden_size, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, num_classes)."""
        rows = images.permute(0, 2, 3, 1).flatten(start_dim=2)
        states, _ = self.recurrent(rows)
        return self.classifier(states[:, -1])


class TokenReader(nn.Module):
    """An embedding, a recurrent network that takes as many features, and a linear classifier of each state."""

    def __init__(self, recurrent: nn.RNNBase, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, recurrent.input_size)
        self.recurrent = recurrent
        self.classifier = nn.Linear(recurrent.hidden_size, vocab_size)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (batch, T) to logits (batch, T, vocab_size) of the next tokens."""
        states, _ = self.recurrent(self.embedding(tokens))
        return self.classifier(states)


def rnn(
    *,
    in_channels: int | None = None,
    image_size: int | None = None,
    num_classes: int | None = None,
    vocab_size: int | None = None,
    hidden_size: PositiveInt,
    num_layers: PositiveInt = 1,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
) -> RowClassifier | TokenReader:
    """The simple recurrent network (Elman 1990); with relu and init=irnn it is the IRNN of Le et al. (2015)."""

    def cells(size: int) -> nn.RNN:
        return nn.RNN(size, hidden_size, num_layers, nonlinearity=nonlinearity, batch_first=True)

    return _reader(cells, hidden_size, in_channels, image_size, num_classes, vocab_size)


def lstm(
    *,
    in_channels: int | None = None,
    image_size: int | None = None,
    num_classes: int | None = None,
    vocab_size: int | None = None,
    hidden_size: PositiveInt,
    num_layers: PositiveInt = 1,
) -> RowClassifier | TokenReader:
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

    def cells(size: int) -> nn.LSTM:
        return nn.LSTM(size, hidden_size, num_layers, batch_first=True)

    return _reader(cells, hidden_size, in_channels, image_size, num_classes, vocab_size)


def gru(
    *,
    in_channels: int | None = None,
    image_size: int | None = None,
    num_classes: int | None = None,
    vocab_size: int | None = None,
    hidden_size: PositiveInt,
    num_layers: PositiveInt = 1,
) -> RowClassifier | TokenReader:
    """Gated recurrent units (Cho et al. 2014)."""

    def cells(size: int) -> nn.GRU:
        return nn.GRU(size, hidden_size, num_layers, batch_first=True)

    return _reader(cells, hidden_size, in_channels, image_size, num_classes, vocab_size)


def _reader(
    cells: Callable[[int], nn.RNNBase],
    hidden_size: int,
    in_channels: int | None,
    image_size: int | None,
    num_classes: int | None,
    vocab_size: int | None,
) -> RowClassifier | TokenReader:
    """The network for what there is to read. Raises ValueError for anything but images of classes, and texts."""
    if vocab_size is not None:
        return TokenReader(cells(hidden_size), vocab_size)
    if in_channels is None or image_size is None or num_classes is None:
        raise ValueError("it classifies images or predicts the tokens of a text")
    return RowClassifier(cells(image_size * in_channels), num_classes)
