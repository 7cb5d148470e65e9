"""Gains: the factor on the weights that keeps the second moment of the signal through a nonlinearity.

The nonlinearities in `torch.nn.init.calculate_gain` have torch's values, so that numbers agree with existing code.
Every other activation phi has the gain of He et al. (2015), generalized: with z ~ N(0, 1) and independent zero-mean
weights of variance gain^2 / fan_in, the second moment of the next pre-activation is gain^2 * E[phi(z)^2], which is 1
for

    gain = 1 / sqrt(E[phi(z)^2]).

For relu this is exact (E = 1/2, gain = sqrt 2). torch's gains for tanh (5/3) and selu (3/4) differ from it (1.5925 and
1): they were chosen empirically, and are kept because they are in common use.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.errors import unknown

TORCH_TABLE = ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu")

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "linear": lambda x: x,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "selu": F.selu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "elu": F.elu,
    "celu": F.celu,
    "softplus": F.softplus,
    "softsign": F.softsign,
    "hardswish": F.hardswish,
    "hardtanh": F.hardtanh,
    "hardsigmoid": F.hardsigmoid,
    "relu6": F.relu6,
    "logsigmoid": F.logsigmoid,
    "tanhshrink": F.tanhshrink,
    "sin": torch.sin,
}

NONLINEARITIES = (*ACTIVATIONS, "glu")

# What torch.nn.init.calculate_gain takes besides, and the names of modules that are not those above in lower case.
_ALIASES = {
    "identity": "linear",
    **{f"conv{kind}{axes}d": "linear" for kind in ("", "_transpose", "transpose") for axes in (1, 2, 3)},
    "leakyrelu": "leaky_relu",
    "prelu": "leaky_relu",
    "rrelu": "leaky_relu",
    "gelutanh": "gelu",
}


@dataclass(frozen=True)
class Nonlinearity:
    """An activation function: `nonlinearity(x)` applies it, entry by entry, and `nonlinearity.gain` is its gain.

    `name` is one of `NONLINEARITIES`; or that of a class or function of another kind, which `function` computes.
    """

    name: str
    negative_slope: float = 0.01  # used by leaky_relu only
    function: Callable[[Tensor], Tensor] | None = None
    is_assumed: bool = False  # linear because none was found, though the model may call one as a function

    def __call__(self, x: Tensor) -> Tensor:
        """The function of every entry of x. Raises ValueError for glu, which multiplies the halves of its input."""
        if self.function is not None:
            return self.function(x.clone()).to(x)  # a copy, since it may work in place
        if self.name == "glu":
            raise ValueError(
                "glu multiplies one half of its input by a function of the other: it has no value by entry"
            )
        return F.leaky_relu(x, self.negative_slope) if self.name == "leaky_relu" else ACTIVATIONS[self.name](x)

    @property
    def gain(self) -> float:
        """torch's gain for the names in `TORCH_TABLE`; for all others the one that keeps the second moment."""
        if self.function is None and self.name in TORCH_TABLE:
            return float(nn.init.calculate_gain(self.name, self.negative_slope))  # type: ignore[arg-type]  # a Literal
        return _gain_by_quadrature(self)


LINEAR = Nonlinearity("linear")


def named(nonlinearity: str, negative_slope: float | None = None) -> Nonlinearity:
    """The nonlinearity of that name; `negative_slope` (default 0.01) is used by leaky_relu only.

    A name is one of `NONLINEARITIES`, or whatever else torch.nn.init.calculate_gain takes (conv2d), or that of a module
    (GELU). Raises ValueError for any other.
    """
    name = nonlinearity if nonlinearity in NONLINEARITIES else str(nonlinearity).lower()
    name = _ALIASES.get(name, name)
    if not isinstance(nonlinearity, str) or name not in NONLINEARITIES:
        raise unknown("nonlinearity", nonlinearity, NONLINEARITIES)
    return Nonlinearity(name, 0.01 if negative_slope is None else negative_slope)


def calculate_gain(nonlinearity: str | Nonlinearity, negative_slope: float | None = None) -> float:
    """The gain of a nonlinearity or of its name (see `named`, which also tells the errors raised)."""
    return nonlinearity.gain if isinstance(nonlinearity, Nonlinearity) else named(nonlinearity, negative_slope).gain


@cache
def _gain_by_quadrature(nonlinearity: Nonlinearity) -> float:
    # With independent a and b, E[(a sigmoid(b))^2] = E[sigmoid(b)^2].
    phi = torch.sigmoid if nonlinearity.name == "glu" else nonlinearity
    # A dense trapezoidal rule: unlike Gauss-Hermite quadrature it is accurate for the kinks of hardswish and relu6.
    z = torch.linspace(-12, 12, 240_001, dtype=torch.float64, device="cpu")
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    second_moment = torch.trapezoid(density * phi(z) ** 2, z)
    return float(second_moment.rsqrt())
