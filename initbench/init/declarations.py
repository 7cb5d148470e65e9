"""What an initializer says about itself: its standard deviation, and its factors for the optimizer."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class Factors(NamedTuple):
    """What an initializer multiplies the optimizer's settings by for one parameter."""

    lr: float = 1.0
    eps: float = 1.0
    weight_decay: float = 1.0


class ExpectedStds(dict[str, float]):
    """What a method that draws parameters itself may return: their standard deviations, by the names of `walk`."""


def expected_std(std: Callable[..., float | None]) -> Callable[[Function], Function]:
    """Declare the standard deviation of a scheme in closed form, as a function `std(layer, **parameters)`.

    It returns None for layers for which there is no closed form.
    """
    return _attach("std", std)


def optimizer_rule(rule: Callable[..., dict[str, Factors]]) -> Callable[[Function], Function]:
    """Declare that an initializer changes the optimizer too: learning rates (muP, Fixup), eps or weight decay.

    `rule(assignments, adaptive, **parameters)` returns the factors by parameter name; they are 1 for parameters that it
    leaves out. `adaptive` says whether the optimizer normalizes gradients, as Adam does and SGD does not. Factors on
    eps are ignored for an optimizer that is not adaptive, since it has no eps.
    """
    return _attach("optimizer_rule", rule)


def _attach(name: str, value: Any) -> Callable[[Function], Function]:
    def decorate(function: Function) -> Function:
        setattr(function, name, value)
        return function

    return decorate
