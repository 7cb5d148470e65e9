"""Who writes what to the memory of a model while it is made."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

# torch.nn.init's own kaiming_uniform_ and constant_ are seen as a whole, and what they call is not.
DRAWS = (
    *("normal_", "uniform_", "kaiming_uniform_", "randn", "rand", "exponential_", "log_normal_", "cauchy_"),
    *("bernoulli_", "geometric_", "random_"),
)
CONSTANTS = ("fill_", "zero_", "constant_", "eye")
_FACTORIES = ("randn", "rand")
# In-place operations that leave the values as they are.
_NO_WRITES = ("requires_grad_", "detach_", "share_memory_", "resize_", "squeeze_", "unsqueeze_", "transpose_", "t_")


@dataclass(frozen=True)
class Cut:
    """A normal distribution that is cut: the arguments of a function whose name ends in `trunc_normal_`."""

    mean: float
    std: float
    low: float
    high: float

    @property
    def distance(self) -> float:
        """How far the nearer bound is from the mean, in standard deviations."""
        return min(self.mean - self.low, self.high - self.mean) / self.std


@dataclass(frozen=True)
class Write:
    """by: the method of a module that is not torch's own closest to the write, or else the closest function.

    numbers: the arguments of the operation, such as mean and std. owner: the module whose method it is. is_default:
    whether a layer of torch wrote it as it was made.
    """

    operation: str
    numbers: tuple[float, ...]
    by: str
    owner: nn.Module | None
    cut: Cut | None
    is_default: bool

    @property
    def is_draw(self) -> bool:
        return self.operation in DRAWS

    @property
    def is_of_init(self) -> bool:
        """Whether the __init__ of a module wrote it."""
        return self.by.endswith(".__init__")

    def __str__(self) -> str:
        if self.cut is not None:
            return (
                f"trunc_normal_(mean={self.cut.mean:g}, std={self.cut.std:g}, a={self.cut.low:g}, b={self.cut.high:g})"
            )
        return f"{self.operation}({', '.join(f'{number:g}' for number in self.numbers)})"


class Writes(TorchFunctionMode):
    """Inside, what is written to tensors is noted, by the addresses of their memory."""

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[int, list[Write]] = {}

    def to(self, tensor: Tensor) -> list[Write]:
        """All writes to the memory of a tensor, in their order."""
        return self._of.get(tensor.untyped_storage().data_ptr(), [])

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if not isinstance(result, Tensor) or not _has_memory(result):
            return result
        address = result.untyped_storage().data_ptr()
        given = (*args, *(kwargs or {}).values())
        known = [each.untyped_storage().data_ptr() for each in given if isinstance(each, Tensor) and _has_memory(each)]
        if address not in known:  # new memory: what was written to this address before was another's
            self._of[address] = []
        is_in_place = name.endswith("_") and not name.endswith("__") and name not in _NO_WRITES
        if (address in known[:1] and is_in_place) or name in _FACTORIES or (kwargs and kwargs.get("out") is result):
            numbers = tuple(float(each) for each in given if isinstance(each, int | float))
            self._of.setdefault(address, []).append(_write(name, numbers, sys._getframe(1)))
        return result


def _write(operation: str, numbers: tuple[float, ...], frame: FrameType | None) -> Write:
    cut, by, owner, is_default = None, "", None, False
    for each in _outwards(frame):
        name, own = each.f_code.co_name, each.f_locals
        if cut is None and name.endswith("trunc_normal_") and _is_cut(own):
            cut = Cut(*(float(own[key]) for key in ("mean", "std", "a", "b")))
        if each.f_globals.get("__name__", "").partition(".")[0] == "torch":
            is_default = is_default or name in ("reset_parameters", "_reset_parameters")
        elif isinstance(own.get("self"), nn.Module):
            owner = own["self"]
            by = f"{type(owner).__name__}.{name}"
            break
        elif not by and not name.endswith("_"):  # as functions that fill a tensor in place, for others, are named
            by = name
    return Write(operation, numbers, by, owner, cut, is_default)


def _is_cut(arguments: Mapping[str, Any]) -> bool:
    return (
        all(isinstance(arguments.get(key), int | float) for key in ("mean", "std", "a", "b")) and arguments["std"] > 0
    )


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _has_memory(tensor: Tensor) -> bool:
    return tensor.layout == torch.strided and tensor.device.type != "meta" and tensor.numel() > 0
