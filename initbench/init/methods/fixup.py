"""Fixup: residual networks of any depth without normalization, by the scale of the weights in their branches."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.declarations import scales_learning_rates
from initbench.init.methods.execution import write
from initbench.init.roles import MATRICES, walk
from initbench.init.structure import Branch


def _learning_rates(
    assignments: Sequence[Any], adaptive: bool, *, scalar_learning_rate: float = 0.1
) -> dict[str, float]:
    scalars = (a.found for a in assignments if a.found.tensor.numel() == 1 and a.found.role in ("bias", "other"))
    layers = (nn.Linear, _ConvNd)  # whose one bias, with one output, is no scalar of Fixup's
    return {found.name: scalar_learning_rate for found in scalars if not isinstance(found.module, layers)}


@scales_learning_rates(_learning_rates)
@torch.no_grad()
def fixup_(model: nn.Module, branches: list[Branch], *, scalar_learning_rate: float = 0.1) -> None:
    """In each of L branches of m layers: weights * L^(-1 / (2m - 2)), the last layer zero; the classifier zero.

    So one step of SGD changes the function by an amount that does not depend on L. Zero includes the bias. Gates are
    set to 1, the scalar biases are zero by the policy for biases, and the learning rates of both are multiplied by
    `scalar_learning_rate`: the CIFAR ResNets have them with norm=fixup, and without norms the rule holds as well.

    An attention counts as m = 2 layers, its query, key and value being side by side. The layers of a branch's
    squeeze-and-excitation are not counted and not scaled. The classifier is the model's last weight matrix in the
    order of registration.

    Raises ValueError for a branch with a norm after its last layer: at zero that norm would multiply the gradient by
    1 / sqrt(eps), some 300; likewise where the last layer standardizes its weight (timm's NFNets). Norms elsewhere
    are let be; they undo the scaling of what comes before them.

    Source: Zhang et al. 2019, section 3 and the box "Fixup initialization".
    Acts on: all layers in residual branches, the gates, the classifier; the learning rate of scalars.
    """
    for branch in branches:
        if branch.weighted and branch.last_norm is not None:
            raise ValueError(
                f"fixup takes the place of norms, and {branch.last_norm[0]} follows the last layer of its branch, "
                "which would be zero: build the model without norms (for resnet20 model.norm=fixup)"
            )
        layers = [module for _, module in branch.weighted]
        if layers and "StdConv" in type(layers[-1]).__name__:
            raise ValueError(f"fixup cannot zero {branch.weighted[-1][0]}: it standardizes its weight, as norms do")
        m = 2 if branch.kind == "attention" else len(layers)
        for layer in layers:
            # The first half of an nn.MultiheadAttention is a layer, its out_proj another.
            for module, key in _matrices(layer):
                if module is _output(layers[-1]):
                    _zero(module)
                else:
                    write(module, key, getattr(module, key) * len(branches) ** (-1 / (2 * m - 2)))
        if branch.gate is not None:
            branch.gate.fill_(1)
    _zero([found.module for found in walk(model) if found.role in MATRICES][-1])


def _matrices(layer: Any) -> list[tuple[nn.Module, str]]:
    if not isinstance(layer, nn.MultiheadAttention):
        return [(layer, "weight")]
    packed = ["in_proj_weight"] if layer.in_proj_weight is not None else [f"{key}_proj_weight" for key in "qkv"]
    return [*((layer, key) for key in packed), (layer.out_proj, "weight")]


def _output(layer: Any) -> nn.Module:
    return layer.out_proj if isinstance(layer, nn.MultiheadAttention) else layer


def _zero(module: Any) -> None:
    for key in ("weight", "bias"):
        value: Tensor | None = getattr(module, key, None)
        if value is not None:
            write(module, key, torch.zeros_like(value))
