"""Looks-linear initialization: a ReLU network that starts as a linear map (Balduzzi et al. 2017)."""

import math
from dataclasses import replace

import torch
from torch import Generator, Tensor

from initbench.init.declarations import expected_std
from initbench.init.gain import Nonlinearity
from initbench.init.layer import Layer
from initbench.init.schemes.orthogonal import delta_orthogonal_
from initbench.init.schemes.variance import resolve_nonlinearity


def _std(layer: Layer, *, nonlinearity: str | None = None, a: float | None = None) -> float:
    outputs, inputs = _core(layer)
    # The squares of V's entries sum to gain^2 min(out, in); copies of V do not change the mean square.
    gain = _gain(layer, resolve_nonlinearity(layer, nonlinearity, a))
    return gain / math.sqrt(max(outputs, inputs) * math.prod(layer.shape[2:]))


@expected_std(_std)
def looks_linear_(
    tensor: Tensor, layer: Layer, generator: Generator, *, nonlinearity: str | None = None, a: float | None = None
) -> None:
    """[[V, -V], [-V, V]] with V orthogonal; [V; -V] in the model's first layer, [V, -V] in its last.

    The second half of a layer's units then computes the negative of the first. As relu(x) - relu(-x) = x, the next
    layer undoes the ReLU, and the network is a linear map. As V is orthogonal, it preserves norms where layers do not
    become narrower. The paper writes [V, -V] for networks that compute both relu(x) and relu(-x) (CReLU); the form for
    plain ReLUs is that of Burkholz & Dubatovka.

    This works for every activation phi with phi(x) - phi(-x) = c x: relu, gelu, silu and hardswish (c = 1), and
    leaky_relu (1 + its slope). V is multiplied by 1 / c, except in the first layer, which no activation precedes. A
    norm keeps the symmetry, but is not linear; max pooling and concatenated paths break it. A convolution has V at its
    center tap (as in `delta_orthogonal`), where it preserves norms.

    Raises ValueError for other activations; for models with skip connections; for an odd number of hidden units or
    channels; for grouped convolutions, gates and packed attention projections, which have no such form; and for a
    convolution with a V that has more inputs than outputs, which cannot preserve norms.

    Source: Balduzzi et al. 2017, The shattered gradients problem; Burkholz & Dubatovka 2019, for plain ReLUs.
    Acts on: every weight.
    """
    outputs, inputs = _core(layer)
    gain = _gain(layer, resolve_nonlinearity(layer, nonlinearity, a))
    core = torch.empty(outputs, inputs, *layer.shape[2:])
    delta_orthogonal_(core, replace(layer, shape=tuple(core.shape)), generator, gain=gain)
    mirrored = core if inputs == layer.shape[1] else torch.cat([core, -core], 1)
    tensor.copy_(mirrored if outputs == layer.shape[0] else torch.cat([mirrored, -mirrored]))


def _core(layer: Layer) -> tuple[int, int]:
    """The number of outputs and inputs of V. Raises ValueError for a layer that cannot be mirrored."""
    place, what = layer.position, f"{layer.name} has shape {layer.shape}"
    if place is None or len(layer.shape) < 2:
        raise ValueError(f"{what}: looks_linear is defined on weight matrices only")
    if place.parts.branches:
        kind = type(place.parts.model).__name__
        raise ValueError(f"{kind} has skip connections, with which it is not linear: looks_linear cannot fill it")
    if layer.groups > 1 or layer.blocks > 1:
        kind = "a grouped convolution" if layer.groups > 1 else "stacked gates or projections"
        raise ValueError(f"{layer.name} is that of {kind}: looks_linear has no mirrored form of it")
    outputs, inputs = layer.shape[:2]
    if (outputs % 2 and not place.is_last) or (inputs % 2 and not place.is_first):
        raise ValueError(f"{what}: looks_linear mirrors the hidden units, so their number must be even")
    outputs, inputs = outputs if place.is_last else outputs // 2, inputs if place.is_first else inputs // 2
    if inputs > outputs and math.prod(layer.shape[2:]) > 1:
        raise ValueError(
            f"{what}: looks_linear needs a convolution with at least as many outputs as inputs, twice as many if it is "
            "the first layer"
        )
    return outputs, inputs


def _gain(layer: Layer, nonlinearity: Nonlinearity) -> float:
    """1 / c of phi(x) - phi(-x) = c x; 1 in the first layer. Raises ValueError for an activation without such a c."""
    x = torch.linspace(-4, 4, 81, dtype=torch.float64)
    difference = nonlinearity(x) - nonlinearity(-x)
    c = float(difference[-1] / x[-1])
    if not c or not torch.allclose(difference, c * x, atol=1e-6):
        raise ValueError(
            f"phi(x) - phi(-x) is not a multiple of x for {nonlinearity.name}: looks_linear needs relu, leaky_relu, "
            "gelu, silu or another activation for which it is"
        )
    assert layer.position is not None  # _core refuses other parameters
    return 1.0 if layer.position.is_first else 1 / c
