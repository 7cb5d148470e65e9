"""Gains: the factor on the weights that keeps the second moment of the signal through a nonlinearity.

The nonlinearities in `torch.nn.init.calculate_gain` have torch's values, so that numbers agree with existing code.
Every other activation phi has the gain of He et al. (2015), generalized: with z ~ N(0, 1) and independent zero-mean
weights of variance gain^2 / fan_in, the second moment of the next pre-activation is gain^2 * E[phi(z)^2], which is 1
for

    gain = 1 / sqrt(E[phi(z)^2]).

For relu this is exact (E = 1/2, gain = sqrt 2). torch's gains for tanh (5/3) and selu (3/4) differ from it (1.5925 and
1): they were chosen empirically, and are kept because they are in common use.
"""

import inspect
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
# What torch.nn.init.calculate_gain takes beside, and the names of modules.
_ALIASES = {
    "identity": "linear",
    "Identity": "linear",
    "Linear": "linear",
    **{f"conv{kind}{axes}d": "linear" for kind in ("", "_transpose") for axes in (1, 2, 3)},
    **{f"Conv{kind}{axes}d": "linear" for kind in ("", "Transpose") for axes in (1, 2, 3)},
    "RReLU": "leaky_relu",
    **_MODULES,
}
# Functions that modules call by themselves, such as nn.TransformerEncoderLayer its `activation`.
_FUNCTIONS = {
    **{function: name for name, function in ACTIVATIONS.items() if name != "linear"},
    torch.relu: "relu",
    F.tanh: "tanh",
    F.sigmoid: "sigmoid",
    torch.selu: "selu",
}


def calculate_gain(nonlinearity: str, negative_slope: float | None = None) -> float:
    """The gain of a nonlinearity by name; `negative_slope` (default 0.01) is used by leaky_relu only.

    A name is one of `NONLINEARITIES`, or whatever else torch.nn.init.calculate_gain takes (conv2d), or that of a module
    (GELU). Raises ValueError for any other.
    """
    nonlinearity = _ALIASES.get(nonlinearity, nonlinearity)
    if nonlinearity in TORCH_TABLE:
        return float(nn.init.calculate_gain(nonlinearity, negative_slope))  # type: ignore[arg-type]  # a Literal there
    return _gain_by_quadrature(nonlinearity)


def activation(nonlinearity: str, negative_slope: float | None = None) -> Callable[[Tensor], Tensor]:
    """The elementwise function of that name; `negative_slope` (default 0.01) is used by leaky_relu only.

    Names are those of `calculate_gain`. Raises ValueError for any other.
    """
    nonlinearity = _ALIASES.get(nonlinearity, nonlinearity)
    if nonlinearity not in ACTIVATIONS:
        raise unknown("nonlinearity", nonlinearity, NONLINEARITIES)
    if nonlinearity == "leaky_relu" and negative_slope is not None:
        return partial(F.leaky_relu, negative_slope=negative_slope)
    return ACTIVATIONS[nonlinearity]


@cache
def _gain_by_quadrature(nonlinearity: str) -> float:
    # A dense trapezoidal rule: unlike Gauss-Hermite quadrature it is accurate for the kinks of hardswish and relu6.
    z = torch.linspace(-12, 12, 240_001, dtype=torch.float64, device="cpu")
    density = torch.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    second_moment = torch.trapezoid(density * activation(nonlinearity)(z) ** 2, z)
    return float(second_moment.rsqrt())


def nonlinearity_of(model: nn.Module) -> tuple[str, float]:
    """The model's most frequent activation and its negative slope; ("linear", 0.01) if it has no activation.

    A recurrent network or cell counts as its own activation: tanh for LSTM and GRU, the nonlinearity it was built with
    for RNN. A function counts where it is a module's attribute `activation`.
    """
    found = Counter(activation for module in model.modules() if (activation := _activation_of(module)) is not None)
    return found.most_common(1)[0][0] if found else ("linear", 0.01)


def _activation_of(module: nn.Module) -> tuple[str, float] | None:
    kind = type(module).__name__
    if isinstance(module, nn.RNNBase):
        return "relu" if module.mode == "RNN_RELU" else "tanh", 0.01
    if isinstance(module, nn.RNNCellBase):
        return str(getattr(module, "nonlinearity", "tanh")), 0.01
    if isinstance(module, nn.PReLU):  # with the slope that it begins with (He et al. 2015, section 2.1)
        return "leaky_relu", float(module.init)
    if isinstance(module, nn.RReLU):  # E[a^2] for a slope a that is drawn from U(lower, upper)
        low, high = module.lower, module.upper
        return "leaky_relu", math.sqrt((low**2 + low * high + high**2) / 3)
    if kind in _MODULES:
        return _MODULES[kind], float(getattr(module, "negative_slope", 0.01))
    function = getattr(module, "activation", None)
    return (_FUNCTIONS[function], 0.01) if inspect.isroutine(function) and function in _FUNCTIONS else None
