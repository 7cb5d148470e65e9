"""The identity family: weights that pass their input through unchanged.

The schemes differ in how they fill a weight with more outputs than inputs:

- `eye_` (alias `dirac_`): the additional outputs are zero.
- `partial_identity_`: the additional outputs are drawn from the module's own initialization.
- `hadamard_`: the inputs are combined by a Hadamard matrix (ZerO).
- `padded_identity_`: the identity is repeated, and convolutions are flattened to matrices (IDInit).

ZerO and IDInit also set the last layers of residual branches; the methods zero_hadamard and idinit do that.
"""

import math
from collections.abc import Callable

import torch
from scipy.linalg import hadamard
from torch import Generator, Tensor
from torch.nn import init

from initbench.init.declarations import expected_std
from initbench.init.layer import Layer
from initbench.init.schemes.own import default_


def _std(layer: Layer, *, gain: float = 1.0) -> float:
    """The standard deviation of entries that are `gain` for a fraction p and zero for the others."""
    rows, columns = layer.shape[0] // layer.groups, layer.shape[1]
    p = min(rows, columns) * layer.groups / math.prod(layer.shape)
    return abs(gain) * math.sqrt(p * (1 - p))


@expected_std(_std)
def eye_(tensor: Tensor, layer: Layer, generator: Generator, *, gain: float = 1.0) -> None:
    """gain * identity: `torch.nn.init.eye_` for a matrix, `torch.nn.init.dirac_` per group for a convolution.

    If out > in, the additional outputs are zero.
    Raises ValueError for tensors of fewer than 2 or more than 5 dimensions, which have no identity.

    Source: Zagoruyko & Komodakis 2017 (Dirac); torch.nn.init.
    Acts on: every weight.
    """
    _refuse_other_dimensions(layer)
    if tensor.dim() == 2:
        init.eye_(tensor)
    else:
        init.dirac_(tensor, layer.groups)
    tensor.mul_(gain)


# One scheme under both of torch's names.
dirac_ = eye_


def partial_identity_(tensor: Tensor, layer: Layer, generator: Generator) -> None:
    """The identity in the first `in` outputs of each group, the module's own initialization in the others.

    If out <= in there are no others, and this is `eye_`. Each gate or projection stacked in a parameter has its own
    identity.
    Raises ValueError for tensors of fewer than 2 or more than 5 dimensions, which have no identity.

    Source: Jordan 2024, 94% on CIFAR-10 in 3.29 seconds on a single GPU, section 3.2.
    Acts on: every weight.
    """
    _refuse_other_dimensions(layer)
    own = torch.empty(getattr(layer.module, layer.key).shape)
    default_(own, layer, generator)
    tensor.copy_(layer.to_blocks(own)[0])  # the first block will do: all are drawn from the same distribution
    for group in tensor.chunk(layer.groups):
        identity = group[: group.shape[1]]
        if tensor.dim() == 2:
            init.eye_(identity)
        else:
            init.dirac_(identity)


def hadamard_(tensor: Tensor, layer: Layer, generator: Generator) -> None:
    """The identity if out <= in, else I H I / 2^(c/2) with H the Hadamard matrix of size 2^c, c = ceil(log2 out).

    The I are partial identities, so the product is the upper left corner of H; its columns are orthonormal if out is a
    power of two. A convolution has this matrix at its center tap k // 2 and is zero elsewhere, group by group. The
    model's last weight matrix is zero. Nothing is random: every seed gives the same weights.
    Raises ValueError for tensors of fewer than 2 or more than 5 dimensions, which have no identity.

    Source: Zhao, Schäfer & Anandkumar 2022, Algorithms 1 and 2, with the normalization of the authors' code.
    Acts on: every weight.
    """
    _refuse_other_dimensions(layer)
    tensor.zero_()
    if layer.position is not None and layer.position.is_last:
        return
    for center in tensor.chunk(layer.groups):
        for size in layer.shape[2:]:
            center = center.select(2, size // 2)
        outputs, inputs = center.shape
        center.copy_(torch.eye(outputs, inputs) if outputs <= inputs else _hadamard(outputs, inputs))


def _hadamard(rows: int, columns: int) -> Tensor:
    """The upper left corner of the smallest normalized Hadamard matrix with at least `rows` > `columns` rows."""
    # Sylvester's H_2n = [H_n H_n; H_n -H_n] repeats H_n below itself, so a matrix as large as the columns is enough.
    size = 1 << (columns - 1).bit_length()
    corner = torch.from_numpy(hadamard(size, dtype=float)[:, :columns])
    return corner[torch.arange(rows) % size] / math.sqrt(1 << (rows - 1).bit_length())


def padded_identity_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    gain: float = 1.0,
    noise: float = 1e-6,
    epsilon: float = 1e-6,
) -> None:
    """w[i, j] = gain where i = j modulo in (identities stacked vertically), plus N(0, noise^2) everywhere.

    A convolution is treated as the matrix out x (in * kernel), group by group ("patch-maintain"): its outputs are
    shifted copies of its first inputs, one tap each. The model's last weight matrix is filled by `zero_preserving_`.
    Raises ValueError for negative noise and for tensors of fewer than two dimensions.

    Source: Pan et al. 2025, IDI and IDIC.
    Acts on: every weight.
    """
    if noise < 0:
        raise ValueError(f"noise must not be negative, got {noise}")
    if layer.position is not None and layer.position.is_last:
        zero_preserving_(tensor, layer, generator, epsilon=epsilon)
        return
    _fill_as_matrices(tensor, layer, lambda rows, columns: gain * repeated_identity(rows, columns))
    tensor.add_(torch.randn(tensor.shape, generator=generator), alpha=noise)


def zero_preserving_(tensor: Tensor, layer: Layer, generator: Generator, *, epsilon: float = 1e-6) -> None:
    """epsilon at the entries of the padded identity and -epsilon at as many others, so that each row sums to zero.

    If out >= in, the -epsilon of a row follows its epsilon, cyclically; if out < in, the remaining columns hold a
    padded identity of -epsilon. Unlike zero, which Fixup uses here, this gives every neuron a gradient. With a single
    input every entry is epsilon. Raises ValueError for tensors of fewer than two dimensions.

    Source: Pan et al. 2025, IDIZ and IDIZC.
    Acts on: every weight.
    """
    _fill_as_matrices(tensor, layer, lambda rows, columns: epsilon * _balanced_identity(rows, columns))


def repeated_identity(rows: int, columns: int) -> Tensor:
    """1 where i = j modulo the number of columns: identities stacked vertically, or the upper part of one."""
    return torch.eye(columns)[torch.arange(rows) % columns]


def _balanced_identity(rows: int, columns: int) -> Tensor:
    identity = repeated_identity(rows, columns)
    if rows < columns:
        identity[:, rows:] = -repeated_identity(rows, columns - rows)
    elif columns > 1:
        identity -= identity.roll(1, dims=1)
    return identity


def _fill_as_matrices(tensor: Tensor, layer: Layer, matrix: Callable[[int, int], Tensor]) -> None:
    if tensor.dim() < 2:
        raise ValueError(f"{layer.name} has shape {layer.shape}: the identity needs at least two dimensions")
    for group in tensor.chunk(layer.groups):
        group.copy_(matrix(len(group), group[0].numel()).view_as(group))


def _refuse_other_dimensions(layer: Layer) -> None:
    if not 2 <= len(layer.shape) <= 5:
        raise ValueError(
            f"{layer.name} has shape {layer.shape}: the identity is defined on matrices and 1, 2 and 3-D convolutions"
        )
