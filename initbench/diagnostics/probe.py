"""Readings of the layers of a model while one batch passes forward and backward."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from initbench.diagnostics.activation import dead_and_saturated
from initbench.diagnostics.correlation import cosines
from initbench.diagnostics.gradient import gradient_to_weight
from initbench.diagnostics.moments import mean, norm, second_moment
from initbench.init.nonlinearity import of_leaf
from initbench.init.roles import MATRICES, role_of

QUANTITIES = (
    "pre_mean",
    "pre_second_moment",
    "post_mean",
    "post_second_moment",
    "dead",
    "saturated",
    "gradient_second_moment",
    "weight_gradient_norm",
    "gradient_to_weight",
)


@dataclass
class Reading:
    """One call of one weighted module."""

    layer: str  # the module's qualified name; "name (2)" when it is called for the second time
    name: str
    module: nn.Module
    correlation: list[float] = field(default_factory=list)  # of each pair of samples
    values: dict[str, float] = field(default_factory=lambda: dict.fromkeys(QUANTITIES, math.nan))


@contextmanager
def watch(model: nn.Module, samples: int, pairs: Tensor) -> Iterator[list[Reading]]:
    """Readings of every weighted module in the order of execution, filled in as the model runs and differentiates.

    The pre-activation is the output of the module (before a norm; for a recurrent network, its states). The
    post-activation, and the dead and saturated shares, belong to the first activation module that runs after it and
    before the next weighted module. samples: in the batch; pairs: (pairs, 2), indices of samples.
    """
    readings: list[Reading] = []
    handles = []
    for name, module in model.named_modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # otherwise it would overwrite its input, which is read here
        if matrices(name, module):
            handles.append(module.register_forward_hook(partial(_read_layer, readings, name, samples, pairs)))
        elif of_leaf(module) is not None:  # an activation
            handles.append(module.register_forward_hook(partial(_read_activation, readings)))
    try:
        yield readings
    finally:
        for handle in handles:
            handle.remove()


def matrices(name: str, module: nn.Module) -> list[str]:
    """The attributes of a module that are weight matrices, without the originals behind a parametrization."""
    if isinstance(module, parametrize.ParametrizationList):
        return []
    keys = [key for key, _ in module.named_parameters(recurse=False)]
    if parametrize.is_parametrized(module):
        keys += module.parametrizations  # type: ignore[arg-type]  # a ModuleDict, of which this adds the keys
    return [key for key in keys if role_of(module, key, name) in MATRICES]


def weights_of(model: nn.Module, called: set[str]) -> dict[str, list[Tensor]]:
    """The weight matrices of each module in `called`.

    nn.MultiheadAttention uses the weight of its out_proj without calling it; such a weight belongs to the nearest
    module above that is called.
    """
    weights: dict[str, list[Tensor]] = {name: [] for name in called}
    for name, module in model.named_modules():
        owner = name
        while owner and owner not in called:
            owner = owner.rpartition(".")[0]
        if owner in called:
            weights[owner] += [getattr(module, key) for key in matrices(name, module)]
    return weights


def read_gradients(
    readings: Sequence[Reading],
    weights: Mapping[str, Sequence[Tensor]],
    gradients: Mapping[str, Sequence[Tensor | None]],
) -> None:
    """Fill in the quantities of the weights' gradients: NaN for a layer that the loss does not depend on."""
    for reading in readings:
        found, own = gradients[reading.name], weights[reading.name]
        known = [gradient for gradient in found if gradient is not None]
        if known or not own:
            reading.values["weight_gradient_norm"] = norm(known)
            reading.values["gradient_to_weight"] = gradient_to_weight(known, own)


def _read_layer(
    readings: list[Reading], name: str, samples: int, pairs: Tensor, module: nn.Module, inputs: Any, outputs: Any
) -> None:
    output = outputs
    while isinstance(output, tuple | list) and output:
        output = output[0]  # the states of a recurrent network, packed or not
    if not isinstance(output, Tensor):
        return
    calls = 1 + sum(reading.name == name for reading in readings)
    reading = Reading(name if calls == 1 else f"{name} ({calls})", name, module, cosines(output, samples, pairs))
    reading.values |= {"pre_mean": mean(output), "pre_second_moment": second_moment(output)}
    readings.append(reading)

    def read_gradient(gradient: Tensor) -> None:
        reading.values["gradient_second_moment"] = second_moment(gradient)

    if output.requires_grad:
        # A hook instead of the tensor's .grad, because the model may change the tensor in place.
        output.register_hook(read_gradient)


def _read_activation(readings: list[Reading], module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    if not readings or not math.isnan(readings[-1].values["dead"]):
        return
    reading, z = readings[-1], inputs[0]
    # Convolutions have their channels in dimension 1, all others have their features last.
    unit_dim = 1 if isinstance(reading.module, _ConvNd) else -1
    dead, saturated = dead_and_saturated(module, z, unit_dim)
    post = {"post_mean": mean(output), "post_second_moment": second_moment(output)}
    reading.values |= {**post, "dead": dead, "saturated": saturated}
