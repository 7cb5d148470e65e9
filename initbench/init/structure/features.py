"""Tells which output feature of a layer each value of a tensor is, and follows the features through views.

So the parts of a packed projection are told apart, in whatever order they are stacked.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_RESHAPES = {"view", "_unsafe_view", "reshape", "_reshape_alias"}
_VIEWS = {
    *("permute", "transpose", "t", "unsqueeze", "squeeze", "expand", "repeat", "flip", "roll"),
    *("select", "slice", "split", "split_with_sizes", "unbind", "index", "index_select"),
}
# The operators whose result mixes features, though it may have the shape of what they are given.
_MIXES = {"mm", "bmm", "addmm", "baddbmm", "linear", "convolution", "cumsum"}


class Features:
    """For tensors of the pass, a tensor of the same shape: at each value, the index of its output feature.

    For complex tensors, the last axis is twice as long: each number is two features.
    """

    def __init__(self) -> None:
        self.of: dict[int, tuple[int, Tensor]] = {}  # by id(tensor): the step of the layer, and the indices

    def start(self, output: Tensor, step: int, axis: int) -> None:
        """Number the features of a layer's output along an axis."""
        if not output.dim():
            return
        shape = [1] * output.dim()
        shape[axis] = output.shape[axis]
        numbers = torch.arange(output.shape[axis], dtype=torch.int32, device="cpu")
        self.of[id(output)] = (step, numbers.view(shape).expand(output.shape))

    def follow(self, name: str, func: Any, args: Sequence[Any], kwargs: Any, read: list[Tensor], made: Any) -> None:
        """Note the features of an operator's results, if it reads a single tensor, whose features it does not mix.

        `read` are its arguments that were computed from the inputs of the model, `made` are its results.
        """
        is_lost = len(read) != 1 or name in _MIXES or (name.startswith("index") and read[0].is_meta)
        if is_lost or (known := self.of.get(id(read[0]))) is None:
            return
        step, numbers = known
        if name == "view_as_complex":  # rotary positions in some models: every number is two features
            self.of[id(made)] = (step, numbers.flatten(-2))
            return
        outputs = [made] if isinstance(made, Tensor) else list(made) if isinstance(made, list | tuple) else []
        if name in _VIEWS:
            followed = func(numbers, *[_on_cpu(each) for each in args[1:]], **kwargs)
            numbers_of = [followed] if isinstance(followed, Tensor) else list(followed)
        elif name in _RESHAPES and isinstance(args[1], list | tuple):
            numbers_of = [numbers.reshape(args[1])]
        else:  # elementwise: values change, their places do not
            numbers_of = [numbers for _ in outputs]
        for tensor, followed in zip(outputs, numbers_of, strict=False):
            if isinstance(tensor, Tensor) and tensor.shape == followed.shape:
                self.of[id(tensor)] = (step, followed)


def _on_cpu(argument: Any) -> Any:
    """An argument of a view, on the CPU: a number, a tensor of indices, or a list of these."""
    if isinstance(argument, list | tuple):
        return [_on_cpu(each) for each in argument]
    return argument.cpu() if isinstance(argument, Tensor) else argument


def heads(numbers: Tensor) -> tuple[list[int], int]:
    """The features in a tensor, head by head, and how many features a head has.

    Features differ along the axis of the heads and along that of the features within a head, and along no other.
    """
    axes = axes_of(numbers)
    for axis in range(numbers.dim()):
        if axis not in axes:
            numbers = numbers.narrow(axis, 0, 1)
    width = numbers.shape[axes[-1]] if axes else 1
    return list(dict.fromkeys(numbers.flatten().tolist())), width


def axes_of(numbers: Tensor) -> list[int]:
    """The axes along which features differ."""
    return [axis for axis in range(numbers.dim()) if (numbers != numbers.narrow(axis, 0, 1)).any()]
