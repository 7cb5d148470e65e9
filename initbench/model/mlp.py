"""The multilayer perceptron."""

from itertools import pairwise

from torch import nn

from initbench.model.layers import Activation, Norm1d, Widths, activation, named, norm1d, widths
from initbench.schema.ranges import Fraction, NonNegativeInt


class MLP(nn.Sequential):
    """Flatten, then `depth` times (linear, norm, activation, dropout), then a linear layer, `classifier`.

    `width` is one int for all hidden layers or a list with one entry for each; `norm` is none, batch or layer;
    `dropout` is the probability of zeroing an activation. Without a norm and with `nonlinearity="linear"` this is the
    deep linear network of Saxe et al. (2014).

    Raises ValueError for a `width` of another length than `depth`, and for an unknown norm or nonlinearity.
    """

    def __init__(
        self,
        *,
        in_features: int,
        out_features: int,
        depth: NonNegativeInt,
        width: Widths,
        nonlinearity: Activation = "relu",
        norm: Norm1d = "none",
        dropout: Fraction = 0,
        bias: bool = True,
    ) -> None:
        sizes = [in_features, *widths(width, depth, "depth")]
        layers: dict[str, nn.Module | None] = {"flatten": nn.Flatten()}
        for index, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
            layers[f"linear{index}"] = nn.Linear(fan_in, fan_out, bias=bias)
            layers[f"norm{index}"] = norm1d(norm, fan_out)
            layers[f"activation{index}"] = activation(nonlinearity)
            layers[f"dropout{index}"] = nn.Dropout(dropout) if dropout > 0 else None
        layers["classifier"] = nn.Linear(sizes[-1], out_features, bias=bias)
        super().__init__(named(layers))
