"""The activation of a model, found by running its modules, so that classes of your own count as well as torch's."""

import copy
import math
from collections import Counter
from collections.abc import Callable
from functools import cache

import torch
from torch import Generator, Tensor, nn
from torch.nn.parameter import is_lazy

from initbench.init.ambient import global_generators, plain_torch
from initbench.init.gain import ACTIVATIONS, Nonlinearity, named
from initbench.init.probing import is_linear

# Different functions that differ by less are given one name: gelu and its approximation by tanh.
_TOLERANCE = 1e-3
# The attributes under which modules keep a function, or its name, that their forward calls.
_ATTRIBUTES = ("act", "nonlinearity")


@plain_torch()
@torch.no_grad()
def nonlinearity_of(model: nn.Module) -> Nonlinearity:
    """The model's most frequent activation; linear if it has none.

    These count as activations:

    - a module that computes a nonlinear function of each entry and has no parameters other than single numbers;
    - nn.PReLU, with the slope that it was built with, and nn.GLU;
    - a function, or the name of one, in an attribute whose name begins with `act` or `nonlinearity`, as in
      nn.TransformerEncoderLayer;
    - a recurrent network or cell: tanh for LSTM and GRU, for RNN the nonlinearity that it was built with.
    """
    found: dict[bytes, Nonlinearity] = {}
    counts: Counter[bytes] = Counter()
    with global_generators(Generator().manual_seed(0)):
        for module in model.modules():
            if (nonlinearity := _of_module(module)) is not None:
                glu = nonlinearity.name == "glu"
                values = b"glu" if glu else nonlinearity(_probe()).numpy().tobytes()
                found.setdefault(values, nonlinearity)
                counts[values] += 1
    if counts:
        return found[counts.most_common(1)[0][0]]
    return Nonlinearity("linear", is_assumed=any(map(_may_call_functions, model.modules())))


def _may_call_functions(module: nn.Module) -> bool:
    """Whether its forward is not one of torch's, all of whose activations are attributes, nor a linear layer's."""
    return not (str(module.forward.__module__).startswith("torch.nn.") or is_linear(module))


def _of_module(module: nn.Module) -> Nonlinearity | None:
    if isinstance(module, nn.RNNBase):
        return named("relu" if module.mode == "RNN_RELU" else "tanh")
    if isinstance(module, nn.RNNCellBase):
        return named(getattr(module, "nonlinearity", "tanh"))
    if isinstance(module, nn.GLU):
        return named("glu")
    return of_leaf(module) or _of_attributes(module)


def _of_attributes(module: nn.Module) -> Nonlinearity | None:
    for key, value in vars(module).items():
        if key.startswith(_ATTRIBUTES):
            if isinstance(value, str) and value in ACTIVATIONS and value != "linear":
                return named(value)
            if callable(value) and (nonlinearity := _of_function(value, value)) is not None:
                return nonlinearity
    return None


def of_leaf(module: nn.Module) -> Nonlinearity | None:
    """The nonlinear function that a module without submodules applies to each entry; None if it applies none."""
    if isinstance(module, nn.PReLU):  # He et al. 2015, section 2.1
        return named("leaky_relu", float(module.init))
    if isinstance(module, nn.RReLU):  # E[a^2] for a slope a that is drawn from U(lower, upper)
        low, high = module.lower, module.upper
        return named("leaky_relu", math.sqrt((low**2 + low * high + high**2) / 3))
    tensors = [*module.parameters(), *module.buffers()]
    if any(True for _ in module.children()) or any(is_lazy(tensor) or tensor.numel() > 1 for tensor in tensors):
        return None
    try:
        module = copy.deepcopy(module).eval().requires_grad_(False)  # a copy, since running it may change it
    except Exception:  # a class of the user's own may raise anything
        return None
    return _of_function(module.forward, module)


def _of_function(function: Callable[[Tensor], Tensor], owner: object) -> Nonlinearity | None:
    """The nonlinearity that a function computes; None if it is not a nonlinear function of each entry."""
    z = _probe()
    try:
        # Some compute in a precision of their own, or return booleans.
        y, picked = (function(each.clone()).to(z) for each in (z, z[_PICKED]))
        fits = y.shape == z.shape and y.isfinite().all() and torch.allclose(y[_PICKED], picked)
    except Exception:  # most modules do not take a vector, and say so each in its own way
        return None
    if not fits or torch.allclose(y, y[0] + (y[-1] - y[0]) / (z[-1] - z[0]) * (z - z[0]), atol=1e-9):
        return None
    slopes = (y / z)[z < 0]
    if torch.equal(y[z >= 0], z[z >= 0]) and torch.allclose(slopes, slopes[0]):
        slope = round(float(slopes[0]), 12)  # without the rounding of the division
        return named("leaky_relu", slope) if slope else named("relu")
    for name, values in _values().items():
        if torch.allclose(y, values, rtol=0, atol=_TOLERANCE):
            return named(name)
    return Nonlinearity(getattr(owner, "__name__", type(owner).__name__), function=function)


_PICKED = torch.arange(160, -1, -2, device="cpu")


@cache
def _probe() -> Tensor:
    return torch.linspace(-8, 8, 161, dtype=torch.float64, device="cpu")


@cache
def _values() -> dict[str, Tensor]:
    return {name: named(name)(_probe()) for name in ACTIVATIONS if name != "linear"}
