"""Moments of a tensor's entries that do not underflow, since they are there to show what vanishes."""

import math
from collections.abc import Sequence

from torch import Tensor


def mean(tensor: Tensor) -> float:
    """The mean of all entries."""
    return float(tensor.detach().mean())


def second_moment(tensor: Tensor) -> float:
    """mean(x^2). Squares underflow in fp32 below 1e-23, which signals in a deep network may well reach."""
    tensor = tensor.detach()
    scale = tensor.abs().max()
    if scale == 0:
        return 0.0
    return float((tensor / scale).square().mean()) * float(scale) ** 2


def norm(tensors: Sequence[Tensor]) -> float:
    """The Euclidean norm of all entries of all tensors."""
    return math.hypot(*(math.sqrt(second_moment(tensor) * tensor.numel()) for tensor in tensors))
