"""Toy functions of one and two variables, and two spirals: data whose answer is known and can be drawn."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from initbench.data.vectors import Vectors
from initbench.schema.ranges import NonNegativeFloat, PositiveInt

Function = Literal["sine", "chirp", "steps", "waves", "peaks", "spirals"]

_SEED = 0  # part of the definition of the data, not of a run
_TURNS = 1.75  # of each spiral


def curves(function: Function = "sine", size: PositiveInt = 2000, noise: NonNegativeFloat = 0.1) -> Vectors:
    """`size` points to train on and half as many for testing, uniform on [-1, 1] or its square.

    sine: sin(2 pi x). chirp: sin(2 pi (x + 1)^2). steps: the sign of sin(3 pi x). waves: sin(pi x) cos(2 pi y). peaks:
    the sum of three Gaussian bumps. spirals: to which of two spirals a point belongs (Lang & Witbrock 1988).

    noise: the standard deviation of what is added to each value, or to each coordinate of a spiral.
    """
    generator = torch.Generator().manual_seed(_SEED)
    inputs, targets = (
        _spirals(size + size // 2 + 1, noise, generator)
        if function == "spirals"
        else (_values(function, size + size // 2 + 1, noise, generator))
    )
    classes = ("one spiral", "the other") if function == "spirals" else ()
    return Vectors(inputs[:size], targets[:size], inputs[size:], targets[size:], classes, keeps_outputs=True)


def value_of(function: Function, inputs: Tensor) -> Tensor:
    """The noiseless values (N,) at inputs (N, 1) or (N, 2); spirals have none."""
    return _FUNCTIONS[function][1](*inputs.T)


def _values(function: Function, number: int, noise: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    variables, _ = _FUNCTIONS[function]
    inputs = torch.rand(number, variables, generator=generator) * 2 - 1
    error = noise * torch.randn(number, generator=generator)
    return inputs, (value_of(function, inputs) + error).unsqueeze(1)


def _spirals(number: int, noise: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    labels = torch.randint(2, (number,), generator=generator)
    # The root spreads the points evenly over the length of the spiral.
    radius = torch.rand(number, generator=generator).sqrt()
    angle = 2 * math.pi * _TURNS * radius + math.pi * labels
    points = radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1)
    return points + noise / 10 * torch.randn(number, 2, generator=generator), labels


def _bump(x: Tensor, y: Tensor, height: float, at: tuple[float, float], width: float) -> Tensor:
    return height * torch.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * width**2))


_FUNCTIONS: dict[str, tuple[int, Callable[..., Tensor]]] = {
    "sine": (1, lambda x: torch.sin(2 * math.pi * x)),
    "chirp": (1, lambda x: torch.sin(2 * math.pi * (x + 1) ** 2)),
    "steps": (1, lambda x: torch.sign(torch.sin(3 * math.pi * x))),
    "waves": (2, lambda x, y: torch.sin(math.pi * x) * torch.cos(2 * math.pi * y)),
    "peaks": (
        2,
        lambda x, y: (
            _bump(x, y, 1, (-0.4, 0.4), 0.25) + _bump(x, y, 1.5, (0.5, 0.3), 0.2) - _bump(x, y, 1, (0, -0.5), 0.3)
        ),
    ),
}
