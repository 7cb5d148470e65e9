"""What an initializer's function may say of itself beside its docstring, as decorators."""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def aims_at(std: Callable[..., float | None]) -> Callable[[Function], Function]:
    """The scheme's standard deviation in closed form: `std(layer, **parameters)`, None where there is none."""
    return _mark("std", std)


def scales_learning_rates(rule: Callable[..., dict[str, float]]) -> Callable[[Function], Function]:
    """The initializer changes learning rates too (muP, Fixup).

    `rule(assignments, adaptive, **parameters)` returns, by parameter name, what the learning rate is multiplied
    by; `adaptive` says whether the optimizer normalizes gradients, as Adam does and SGD does not.
    """
    return _mark("learning_rates", rule)


def _mark(name: str, value: Any) -> Callable[[Function], Function]:
    def mark(function: Function) -> Function:
        setattr(function, name, value)
        return function

    return mark
