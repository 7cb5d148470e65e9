"""A function that has a derivative and no second one."""

from typing import Any

import torch
from torch import Tensor, nn


class _Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]  # one gradient
        return 2 * gradient


class Doubling(nn.Module):
    """Doubles a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return _Doubled.apply(x)  # type: ignore[no-any-return, no-untyped-call]  # torch does not annotate it
