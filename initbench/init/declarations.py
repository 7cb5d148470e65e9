"""Decorators that attach facts to an initializer's function: its standard deviation, its learning-rate multipliers."""

from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def expected_std(std: Callable[..., float | None]) -> Callable[[Function], Function]:
    """Declare the standard deviation of a scheme in closed form, as a function `std(layer, **parameters)`.

    It returns None for layers on which there is no closed form.
    """
    return _attach("std", std)


def learning_rate_multipliers(rule: Callable[..., dict[str, float]]) -> Callable[[Function], Function]:
    """Declare that an initializer changes learning rates too (muP, Fixup).

    `rule(assignments, adaptive, **parameters)` returns the factors for the learning rate by parameter name; `adaptive`
    says whether the optimizer normalizes gradients, as Adam does and SGD does not.
    """
    return _attach("learning_rates", rule)


def _attach(name: str, value: Any) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        setattr(function, name, value)
        return function

    return decorate
