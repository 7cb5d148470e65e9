"""Schemes that do not depend on the layer: constants, and draws of a fixed scale."""

import math

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import init

from initbench.init.declarations import expected_std
from initbench.init.layer import Layer

# Gauss-Legendre nodes for densities of a normal, of which nothing lies beyond this number of standard deviations.
_FAR = 12.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(100)


@expected_std(lambda layer, **_: 0.0)
def constant_(tensor: Tensor, layer: Layer, generator: Generator, *, value: float) -> None:
    """Every entry is `value`. Units of a layer that start equal stay equal; random draws break this symmetry.

    Source: torch.nn.init.constant_.
    Acts on: every weight.
    """
    init.constant_(tensor, value)


@expected_std(lambda layer, **_: 0.0)
def zeros_(tensor: Tensor, layer: Layer, generator: Generator) -> None:
    """Every entry is 0.

    Source: torch.nn.init.zeros_.
    Acts on: every weight.
    """
    init.zeros_(tensor)


@expected_std(lambda layer, **_: 0.0)
def ones_(tensor: Tensor, layer: Layer, generator: Generator) -> None:
    """Every entry is 1.

    Source: torch.nn.init.ones_.
    Acts on: every weight.
    """
    init.ones_(tensor)


@expected_std(lambda layer, *, a=0.0, b=1.0: (b - a) / math.sqrt(12))
def uniform_(tensor: Tensor, layer: Layer, generator: Generator, *, a: float = 0.0, b: float = 1.0) -> None:
    """U(a, b). The default is torch's, U(0, 1), whose mean is not zero. Raises ValueError unless a <= b.

    Source: torch.nn.init.uniform_.
    Acts on: every weight.
    """
    if not a <= b:
        raise ValueError(f"uniform needs a <= b, got a={a}, b={b}")
    init.uniform_(tensor, a, b, generator)


@expected_std(lambda layer, *, mean=0.0, std=1.0: std)
def normal_(tensor: Tensor, layer: Layer, generator: Generator, *, mean: float = 0.0, std: float = 1.0) -> None:
    """N(mean, std^2). Raises ValueError for a negative std.

    Source: torch.nn.init.normal_.
    Acts on: every weight.
    """
    _check_std(std)
    init.normal_(tensor, mean, std, generator)


def truncated_std(*, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> float:
    """The standard deviation of N(mean, std^2) truncated to [a, b].

    By quadrature: the closed form (Johnson, Kotz & Balakrishnan 1994, section 13.10.1) cancels for narrow bounds.
    """
    if std == 0:
        return 0.0
    low, high = max((a - mean) / std, -_FAR), min((b - mean) / std, _FAR)
    offsets = _NODES * (high - low) / 2  # from the middle
    density = _WEIGHTS * np.exp(-0.5 * ((low + high) / 2 + offsets) ** 2)
    centred = offsets - np.average(offsets, weights=density)
    return std * math.sqrt(np.average(centred**2, weights=density))


@expected_std(lambda layer, **parameters: truncated_std(**parameters))
def trunc_normal_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
) -> None:
    """N(mean, std^2) truncated to [a, b].

    As in torch, the bounds are absolute, not in units of std, and std is that of the normal before truncation: with
    std=0.02 and bounds +-2 the result is practically a plain normal. Raises ValueError for a negative std, unless a <
    b, and for a mean more than two std outside [a, b].

    Source: torch.nn.init.trunc_normal_.
    Acts on: every weight.
    """
    _check_std(std)
    if not a < b:
        raise ValueError(f"trunc_normal needs a < b, got a={a}, b={b}")
    if not a - 2 * std <= mean <= b + 2 * std:
        raise ValueError(f"trunc_normal: mean={mean} lies more than two std={std} outside [a, b] = [{a}, {b}]")
    if std == 0:  # torch divides by it
        init.constant_(tensor, mean)
    else:
        init.trunc_normal_(tensor, mean, std, a, b, generator)
        # torch 2.11 inverts the distribution function. If a is many std away, it draws minus infinity for about one
        # weight in 2^24 (25 of 2^29 were counted), and moves it to a.
        outliers = tensor.eq(a)
        if outliers.any():
            again = init.trunc_normal_(torch.empty_like(tensor), mean, std, a, b, generator)
            tensor.copy_(torch.where(outliers, again, tensor))


def _sparse_std(layer: Layer, *, sparsity: float = 0.9, std: float = 0.01) -> float:
    rows = layer.shape[0]
    return std * math.sqrt(1 - math.ceil(sparsity * rows) / rows)


@expected_std(_sparse_std)
def sparse_(tensor: Tensor, layer: Layer, generator: Generator, *, sparsity: float = 0.9, std: float = 0.01) -> None:
    """N(0, std^2) with ceil(sparsity * out) entries of each column set to zero (Martens 2010).

    A convolution is treated as the matrix out x (in * kernel). Unlike in torch.nn.init.sparse_, the positions of the
    zeros come from the generator too. Raises ValueError for a negative std, for a sparsity outside [0, 1), and for
    tensors of fewer than two dimensions.

    Source: Martens 2010, section 5.
    Acts on: every weight.
    """
    _check_std(std)
    if not 0 <= sparsity < 1:
        raise ValueError(f"sparsity must lie in [0, 1), got {sparsity}")
    if tensor.dim() < 2:
        raise ValueError(f"{layer.name} has shape {layer.shape}: sparse needs at least two dimensions")
    init.normal_(tensor, 0.0, std, generator)
    matrix = tensor.view(len(tensor), -1)
    zeros = math.ceil(sparsity * len(matrix))
    rows = torch.rand(matrix.shape, generator=generator).argsort(dim=0)[:zeros]
    matrix.scatter_(0, rows, 0.0)


def _check_std(std: float) -> None:
    if not std >= 0:
        raise ValueError(f"std must not be negative, got {std}")
