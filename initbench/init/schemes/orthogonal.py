"""The orthogonal family: weights that preserve norms (Saxe et al. 2014, Xiao et al. 2018).

The three schemes are the same for matrices. For convolutions they differ in what is orthogonal: with `orthogonal_` the
matrix out x (in * kernel), with `delta_orthogonal_` and `orthogonal_conv_` the convolution as a map between images.
"""

import math

import torch
from torch import Generator, Tensor
from torch.nn import init

from initbench.init.declarations import expected_std
from initbench.init.layer import Layer
from initbench.init.schemes.variance import resolve_gain


def _std(layer: Layer, *, gain: float | None = None, nonlinearity: str | None = None, a: float | None = None) -> float:
    # The squares of an r x c matrix with min(r, c) orthonormal rows or columns sum to min(r, c).
    columns = math.prod(layer.shape[1:])
    return resolve_gain(layer, gain, nonlinearity, a) / math.sqrt(max(layer.shape[0] // layer.groups, columns))


def _std_of_isometry(
    layer: Layer, *, gain: float | None = None, nonlinearity: str | None = None, a: float | None = None
) -> float:
    # The squares of an isometry's kernel sum to the number of its inputs, however they are spread over taps (Parseval).
    if math.prod(layer.shape[2:]) == 1:
        return _std(layer, gain=gain, nonlinearity=nonlinearity, a=a)
    outputs = layer.shape[0] // layer.groups
    return resolve_gain(layer, gain, nonlinearity, a) / math.sqrt(outputs * math.prod(layer.shape[2:]))


@expected_std(_std)
def orthogonal_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    gain: float | None = None,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """gain * Q with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014).

    A convolution is treated as the matrix out x (in * kernel), group by group: in a depthwise convolution each filter
    has norm `gain`. The convolution as an operator is not orthogonal. With one group and the same generator this equals
    torch.nn.init.orthogonal_. Raises ValueError for tensors of fewer than two dimensions.

    Source: Saxe, McClelland & Ganguli 2014, section 3.
    Acts on: every weight.
    """
    if tensor.dim() < 2:
        raise ValueError(f"{layer.name} has shape {layer.shape}: orthogonal needs at least two dimensions")
    gain = resolve_gain(layer, gain, nonlinearity, a)
    for group in tensor.chunk(layer.groups):
        init.orthogonal_(group, gain, generator)


@expected_std(_std_of_isometry)
def delta_orthogonal_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    gain: float | None = None,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """Zero except for gain * Q at the center tap (k - 1) // 2; Q has orthonormal columns (Xiao et al. 2018, Alg. 1).

    With stride 1 every singular value of the convolution is `gain`, whatever the padding mode, for odd kernels
    with padding k // 2. Matrices and 1 x 1 kernels are filled as by `orthogonal_`. Each group is orthogonal by
    itself, so a depthwise filter is +-gain at its center.
    Raises ValueError for a larger kernel with more inputs than outputs in a group, where no such Q exists.

    Source: Xiao, Bahri, Sohl-Dickstein, Schoenholz & Pennington 2018, Algorithm 1; jax.nn.initializers.
    Acts on: every weight.
    """
    if math.prod(layer.shape[2:]) == 1:
        orthogonal_(tensor, layer, generator, gain=gain, nonlinearity=nonlinearity, a=a)
        return
    _refuse_more_inputs(layer, "delta_orthogonal")
    tensor.zero_()
    gain = resolve_gain(layer, gain, nonlinearity, a)
    for group in tensor.chunk(layer.groups):
        centre = group
        for size in layer.shape[2:]:
            centre = centre.select(2, (size - 1) // 2)
        centre.copy_(init.orthogonal_(torch.empty(centre.shape), gain, generator))


@expected_std(_std_of_isometry)
def orthogonal_conv_(
    tensor: Tensor,
    layer: Layer,
    generator: Generator,
    *,
    gain: float | None = None,
    nonlinearity: str | None = None,
    a: float | None = None,
) -> None:
    """A kernel that uses every tap and is orthogonal as a convolution: gain * (block product) * isometry.

    The product has one factor P + (I - P) z for each step along each axis of the kernel, with z the shift by one pixel
    along that axis and P a random orthogonal projection. Each factor preserves norms, and so does their product; for
    two axes the factors of one step form Xiao et al.'s 2 x 2 kernel [PQ, P(I-Q); (I-P)Q, (I-P)(I-Q)]. Kernels may have
    any size along each of 1, 2 or 3 axes. With stride 1 and circular padding every singular value is `gain`; with zero
    padding, values shifted over the border are lost.

    A projection keeps each of n random directions with probability 1/2, as in the authors' code, so a depthwise filter,
    n = 1, is +-gain at one random tap. Matrices and 1 x 1 kernels are filled by `orthogonal_`.
    Raises ValueError for a larger kernel with more inputs than outputs in a group.

    Source: Xiao, Bahri, Sohl-Dickstein, Schoenholz & Pennington 2018, Algorithm 2; Li et al. 2019, section 4.
    Acts on: every weight.
    """
    if math.prod(layer.shape[2:]) == 1:
        orthogonal_(tensor, layer, generator, gain=gain, nonlinearity=nonlinearity, a=a)
        return
    _refuse_more_inputs(layer, "orthogonal_conv")
    gain = resolve_gain(layer, gain, nonlinearity, a)
    kernel = layer.shape[2:]
    for group in tensor.chunk(layer.groups):
        outputs, inputs = group.shape[:2]
        product = _orthogonal(outputs, generator)[:, :inputs].reshape(outputs, inputs, *[1] * len(kernel))
        for step in range(max(kernel) - 1):
            for axis in reversed(range(len(kernel))):
                if step < kernel[axis] - 1:
                    product = _convolve(_projection(outputs, generator), product, axis + 2)
        group.copy_(gain * product)


def _convolve(projection: Tensor, kernel: Tensor, axis: int) -> Tensor:
    """The kernel of (P + (I - P) z) * kernel, one tap longer along `axis`."""
    kept = torch.tensordot(projection, kernel, dims=1)
    shape = list(kernel.shape)
    shape[axis] = 1
    gap = kernel.new_zeros(shape)
    return torch.cat([kept, gap], axis) + torch.cat([gap, kernel - kept], axis)


def _projection(size: int, generator: Generator) -> Tensor:
    kept = torch.rand(size, generator=generator) < 0.5
    basis = _orthogonal(size, generator)[:, kept]
    return basis @ basis.T


def _orthogonal(size: int, generator: Generator) -> Tensor:
    # In double precision, since a 7 x 7 kernel is a product of twelve such factors.
    return init.orthogonal_(torch.empty(size, size, dtype=torch.float64), generator=generator)


def _refuse_more_inputs(layer: Layer, label: str) -> None:
    outputs, inputs = layer.shape[0] // layer.groups, layer.shape[1]
    if inputs > outputs:
        raise ValueError(
            f"{layer.name} has {inputs} input and {outputs} output channels in each group: {label} needs at least as "
            "many outputs as inputs; init=orthogonal does not"
        )
