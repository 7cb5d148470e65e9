"""Recurrent networks that read an image row by row (like the sequential MNIST of Le et al. 2015, which has pixels)."""

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


def rnn(
    *,
    in_channels: int,
    image_size: int,
    num_classes: int,
    hidden_size: PositiveInt,
    num_layers: PositiveInt = 1,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
) -> RowClassifier:
    """The simple recurrent network (Elman 1990); with relu and init=irnn it is the IRNN of Le et al. (2015)."""
    size = image_size * in_channels
    cells = nn.RNN(size, hidden_size, num_layers, nonlinearity=nonlinearity, batch_first=True)
    return RowClassifier(cells, num_classes)


def lstm(
    *, in_channels: int, image_size: int, num_classes: int, hidden_size: PositiveInt, num_layers: PositiveInt = 1
) -> RowClassifier:
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""
    size = image_size * in_channels
    return RowClassifier(nn.LSTM(size, hidden_size, num_layers, batch_first=True), num_classes)


def gru(
    *, in_channels: int, image_size: int, num_classes: int, hidden_size: PositiveInt, num_layers: PositiveInt = 1
) -> RowClassifier:
    """Gated recurrent units (Cho et al. 2014)."""
    size = image_size * in_channels
    return RowClassifier(nn.GRU(size, hidden_size, num_layers, batch_first=True), num_classes)
