"""Spectral scaling: weights and their updates have spectral norms of sqrt(out / in), at every width."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Generator, Tensor, nn
from torch.nn import init

from initbench.init.declarations import Factors, expected_std, optimizer_rule
from initbench.init.layer import Layer
from initbench.init.schemes.mup import check_base, width_factors

if TYPE_CHECKING:
    from initbench.init.assignment import Assignment  # which is made of schemes


def _std(layer: Layer, *, base_width: float = 64, gain: float = 1.0) -> float:
    if _is_embedding(layer):
        return gain
    outputs, inputs = layer.shape[0] // layer.groups, layer.shape[1]
    # The squares of an r x c matrix with min(r, c) orthonormal rows or columns sum to min(r, c).
    return _norm(layer, gain) / math.sqrt(max(outputs, inputs))


def _factors(
    assignments: "Sequence[Assignment]", adaptive: bool, *, base_width: float = 64, gain: float = 1.0
) -> dict[str, Factors]:
    return width_factors(assignments, adaptive, base_width)


@optimizer_rule(_factors)
@expected_std(_std)
def spectral_(tensor: Tensor, layer: Layer, generator: Generator, *, base_width: float = 64, gain: float = 1.0) -> None:
    """gain * sqrt(out / in) * Q with orthonormal rows or columns, whichever are fewer, and scaled learning rates.

    All singular values are then gain * sqrt(out / in), so that a layer turns features of size 1 into features of size
    1. In a convolution each of the k taps is such a matrix, divided by k, as in the authors' Modula; in and out are
    channels. Each group of a convolution, each gate, and query, key and value each are matrices of their own.

    The spectral norms of updates should be proportional to sqrt(out / in) too. This makes the learning rate of a layer
    proportional to out / in with SGD and to 1 / in with Adam, where a bias counts as a weight with one input. Here
    these rates are relative to those of a model of width `base_width`, which keeps the optimizer's own rate: they are
    those of `mup`, whose documentation says what counts as the width.

    `initialize` sets the weights only. The factors for your own optimizer are those of
    `initbench.learning_rates(model, "spectral", adaptive=True)`; a run takes them by itself.

    An embedding reads one-hot inputs, which have norm 1 and not sqrt(in), so its rows should have norm sqrt(width), and
    its rates are those of in = 1. By default embeddings keep their own initialization, whose numbers do not depend on
    the width either; with embedding=null they are drawn uniformly from the sphere of radius gain * sqrt(width). Keep
    the default for an embedding that is also the output layer, whose logits would be too large.

    Raises ValueError for a base_width that is not positive, for nn.Bilinear, which has two widths that multiply, and
    for tensors of fewer than two dimensions.

    Source: Yang, Simon & Bernstein 2023, A Spectral Condition for Feature Learning, condition 1 and parametrization 1;
    for convolutions and embeddings Modula (Large et al. 2024).
    Acts on: every weight, and all learning rates.
    """
    check_base("spectral", "base_width", base_width)
    if isinstance(layer.module, nn.Bilinear):
        raise ValueError(f"{layer.name} is bilinear: spectral has no rule for two widths that multiply")
    if tensor.dim() < 2:
        raise ValueError(f"{layer.name} has shape {layer.shape}: spectral needs at least two dimensions")
    if _is_embedding(layer):
        init.normal_(tensor, generator=generator)
        tensor.mul_(gain * math.sqrt(tensor.shape[1]) / tensor.norm(dim=1, keepdim=True))
        return
    for group in tensor.chunk(layer.groups):
        for tap in group.flatten(2).unbind(2) if tensor.dim() > 2 else [group]:
            tap.copy_(init.orthogonal_(tap.new_empty(tap.shape), _norm(layer, gain), generator))


def _norm(layer: Layer, gain: float) -> float:
    """The singular values of each tap."""
    return gain * math.sqrt(layer.shape[0] / (layer.shape[1] * layer.groups)) / math.prod(layer.shape[2:])


def _is_embedding(layer: Layer) -> bool:
    return isinstance(layer.module, nn.Embedding | nn.EmbeddingBag)
