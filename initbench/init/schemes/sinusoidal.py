"""Sinusoidal initialization: each unit's weights are a sine wave over its inputs (Fernández-Hernández et al. 2025)."""

import math

import torch
from torch import Generator, Tensor

from initbench.init.declarations import expected_std
from initbench.init.layer import Layer


def _std(layer: Layer) -> float:
    return math.sqrt(2 / (layer.shape[0] + math.prod(layer.shape[1:])))


@expected_std(_std)
def sinusoidal_(tensor: Tensor, layer: Layer, generator: Generator) -> None:
    """W[i, j] = a sin((i + 1) (2 pi j / n + 2 pi / m)) for m outputs and n inputs, with a variance of 2 / (m + n).

    i and j count from 0, and `a` is chosen for this variance, which has the divisor m n - 1 as in the authors' code.
    Nothing is random: every seed gives the same weights. A convolution is treated as a matrix of shape
    (out, in * kernel), so n counts the taps and m does not; its groups are rows of one matrix. Each gate or projection
    stacked in a parameter is a matrix by itself.

    In a square weight, row n - 2 - i is the negative of row i, so the rank is at most (n - 1) / 2; and the last row
    is zero, as is the middle one if n is even: their units start dead.

    Raises ValueError for tensors of fewer than two dimensions, and for at most two outputs and two inputs, where every
    sine is 0.

    Source: Fernández-Hernández, Mestre, Dolz, Duato & Quintana-Ortí 2025, with the normalization of the authors' code.
    Acts on: every weight.
    """
    if tensor.dim() < 2:
        raise ValueError(f"{layer.name} has shape {layer.shape}: sinusoidal needs at least two dimensions")
    outputs, inputs = len(tensor), tensor[0].numel()
    if max(outputs, inputs) <= 2:
        raise ValueError(f"{layer.name} has shape {layer.shape}: sinusoidal needs more than two outputs or inputs")
    # In double precision, since the argument grows to 2 pi m.
    period = torch.arange(1, outputs + 1, dtype=torch.float64)[:, None]
    place = torch.arange(inputs, dtype=torch.float64) / inputs + 1 / outputs
    wave = torch.sin(2 * math.pi * period * place)
    tensor.copy_((wave * _std(layer) / wave.std()).view_as(tensor))
