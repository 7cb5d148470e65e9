"""The orthogonal and identity families."""

from torch import Generator, Tensor
from torch.nn import init

from initbench.init.layer import Layer
from initbench.init.variance import resolve_gain


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

    A convolution is taken as the matrix out x (in * kernel), group by group: in a depthwise convolution
    each filter has norm `gain`. The convolution as an operator is not orthogonal.
    Equal to torch.nn.init.orthogonal_ for the same generator where groups is 1.
    """
    if tensor.dim() < 2:
        raise ValueError(f"{layer.name} has shape {layer.shape}: orthogonal needs at least two dimensions")
    gain = resolve_gain(layer, gain, nonlinearity, a)
    for group in tensor.chunk(layer.groups):
        init.orthogonal_(group, gain, generator)


def eye_(tensor: Tensor, layer: Layer, generator: Generator, *, gain: float = 1.0) -> None:
    """gain * the identity: `torch.nn.init.eye_` on a matrix, and on a convolution the kernel that passes
    its input through (`torch.nn.init.dirac_`, per group). Where out > in the surplus outputs are zero.

    Raises ValueError for tensors of fewer than 2 or more than 5 dimensions, which have no identity.
    """
    if tensor.dim() == 2:
        init.eye_(tensor)
    elif 3 <= tensor.dim() <= 5:
        init.dirac_(tensor, layer.groups)
    else:
        raise ValueError(
            f"{layer.name} has shape {layer.shape}: the identity is defined on matrices and 1, 2 and 3-D convolutions"
        )
    tensor.mul_(gain)


# One scheme under the two names that torch has for its two halves.
dirac_ = eye_
