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
from collections import Counter
from collections.abc import Callable
from functools import cache, partial

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

NONLINEARITIES = tuple(ACTIVATIONS)

# Names of module classes, since timm has its own classes under torch's names.
_MODULES = {
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "leaky_relu",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "SELU": "selu",
    "GELU": "gelu",
    "GELUTanh": "gelu",
    "SiLU": "silu",
    "Mish": "mish",
    "ELU": "elu",
    "CELU": "celu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Hardswish": "hardswish",
    "Hardtanh": "hardtanh",
    "Hardsigmoid": "hardsigmoid",
    "ReLU6": "relu6",
    "LogSigmoid": "logsigmoid",
    "Tanhshrink": "tanhshrink",
}
_PRELU_SLOPE = 0.25  # the initial slope of PReLU (He et al. 2015, section 2.1; torch's default)


def calculate_gain(nonlinearity: str, negative_slope: float | None = None) -> float:
    """The gain of a nonlinearity by name; `negative_slope` (default 0.01) is used by leaky_relu only.

    Raises ValueError for a name outside `NONLINEARITIES`.
    """
    if nonlinearity in TORCH_TABLE:
        return float(nn.init.calculate_gain(nonlinearity, negative_slope))  # type: ignore[arg-type]  # a Literal there
    return _gain_by_quadrature(nonlinearity)


def activation(nonlinearity: str, negative_slope: float | None = None) -> Callable[[Tensor], Tensor]:
    """The elementwise function of that name; `negative_slope` (default 0.01) is used by leaky_relu only.

    Raises ValueError for a name outside `NONLINEARITIES`.
    """
    if nonlinearity not in ACTIVATIONS:
        raise unknown("nonlinearity", nonlinearity, NONLINEARITIES)
    if nonlinearity == "leaky_relu" and negative_slope is not None:
        return partial(F.leaky_relu, negative_slope=negative_slope)
    return ACTIVATIONS[nonlinearity]


@cache
def _gain_by_quadrature(nonlinearity: str) -> float:
    # A dense trapezoidal rule: unlike Gauss-Hermite quadrature it is accurate for the kinks of hardswish and relu6.
    z = torch.linspace(-12, 12, 240_001, dtype=torch.float64)
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    second_moment = torch.trapezoid(density * activation(nonlinearity)(z) ** 2, z)
    return float(second_moment.rsqrt())


def nonlinearity_of(model: nn.Module) -> tuple[str, float]:
    """The model's most frequent activation and its negative slope; ("linear", 0.01) if it has no activation.

    A recurrent network counts as its own activation: tanh for LSTM and GRU, the nonlinearity it was built with for RNN.
    """
    found: Counter[tuple[str, float]] = Counter()
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            found["relu" if module.mode == "RNN_RELU" else "tanh", 0.01] += 1
        kind = type(module).__name__
        if kind in _MODULES:
            slope = _PRELU_SLOPE if kind == "PReLU" else float(getattr(module, "negative_slope", 0.01))
            found[_MODULES[kind], slope] += 1
    return found.most_common(1)[0][0] if found else ("linear", 0.01)
