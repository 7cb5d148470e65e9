"""Fixup: residual networks of any depth train without normalization, by scaling the weights of their branches."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.assignment import Assignment
from initbench.init.declarations import Factors, optimizer_rule
from initbench.init.parametrized import write
from initbench.init.roles import NamedParameter
from initbench.init.structure.branch import Branch


def _factors(
    assignments: Sequence[Assignment], adaptive: bool, *, scalar_learning_rate: float = 0.1
) -> dict[str, Factors]:
    parameters = (assignment.parameter for assignment in assignments)
    scalars = (p for p in parameters if p.tensor.numel() == 1 and p.role in ("bias", "other"))
    layers = (nn.Linear, _ConvNd)  # a layer with one output has a bias of one number, which is not Fixup's
    return {p.name: Factors(lr=scalar_learning_rate) for p in scalars if not isinstance(p.module, layers)}


@optimizer_rule(_factors)
@torch.no_grad()
def fixup_(
    model: nn.Module, branches: list[Branch], matrices: list[NamedParameter], *, scalar_learning_rate: float = 0.1
) -> None:
    """In each of L branches of m layers: weights * L^(-1 / (2m - 2)), the last layer zero; the classifier zero.

    One step of SGD then changes the function by an amount that does not depend on L. The bias of a zero layer is zero
    too. Gates are set to 1, scalar biases to zero (by the policy for biases), and the learning rates of both are
    multiplied by `scalar_learning_rate` (in your own code: `initbench.learning_rates`). The CIFAR ResNets have gates
    and scalar biases with norm=fixup; the rule also applies to a model without norms that lacks them.

    An attention counts as m = 4 layers, as in the authors' code for transformers: the output is a product of the query,
    key, value and output weights. The first three are scaled by L^(-1/6), the last is zero. Squeeze-and-excitation
    layers are neither counted nor scaled. If a branch ends with parallel layers, all of them are zero. The classifier
    is the weight matrix that the model uses last.

    Raises ValueError for a branch whose last layer is followed by a norm: with zero input, that norm would multiply the
    gradient by 1 / sqrt(eps), about 300. Raises it also if the last layer standardizes its weight (timm's NFNets), if
    a branch ends with a matrix that belongs to no layer (mixtures of experts), and if the classifier shares its weight
    with an embedding, which must not be zero. Other norms are left as they are; they undo the scaling of the layers
    before them.

    Source: Zhang et al. 2019, section 3 and the box "Fixup initialization"; for attention, the authors' code.
    Acts on: all layers in residual branches, the gates, the classifier; the learning rate of scalars.
    """
    for branch in branches:
        if branch.weighted and branch.last_norm is not None:
            raise ValueError(
                f"fixup takes the place of norms, and {branch.last_norm[0]} follows the last layer of its branch, "
                "which would be zero: build the model without norms (for resnet20 model.norm=fixup)"
            )
        if branch.ends_outside_layers:
            raise ValueError(
                f"fixup needs to zero the last layer of each residual branch, and {branch.name} ends with a matrix "
                "that belongs to no layer, as in mixtures of experts"
            )
        layers = [module for _, module in branch.weighted]
        last = [_output(layer) for _, layer in branch.last_layers]
        for name, layer in branch.last_layers:
            if "StdConv" in type(layer).__name__:
                raise ValueError(f"fixup cannot zero {name}: it standardizes its weight, as norms do")
        m = 4 if branch.kind == "attention" else len(layers)
        for layer in layers:
            # The first half of an nn.MultiheadAttention is a layer, its out_proj another.
            for module, key in _matrices(layer):
                if module in last:
                    _zero(module)
                else:
                    write(module, key, getattr(module, key) * len(branches) ** (-1 / (2 * m - 2)))
        if branch.gate is not None:
            branch.gate.fill_(1)
    if matrices[-1].role == "embedding":
        raise ValueError(
            f"fixup sets the classifier to zero, and its weight is also that of the embedding {matrices[-1].name}, "
            "which must not be zero: build the model with a classifier of its own"
        )
    _zero(matrices[-1].module)


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
