"""Randomized asymmetric initialization: fewer ReLU networks that are born dead (Lu et al. 2020)."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn import init

from initbench.init.declarations import expected_std
from initbench.init.layer import Layer, describe_layer
from initbench.init.parametrized import write
from initbench.init.roles import MATRICES, walk


@torch.no_grad()
def rai_(model: nn.Module, stream: Callable[[str], Generator]) -> None:
    """One entry of each row of [W b], chosen at random, is drawn from Beta(2, 1); the others keep their values.

    In conf/init/rai.yaml the others are N(0, 0.6007^2 / fan_in); the fan_in does not count the bias, as in the authors'
    code. The chosen entry is positive (its mean is 2/3), and so are inputs from a ReLU, so a unit is less often dead on
    all data than with weights that are symmetric around zero. In wide layers, the second moment of the signal stays
    about the same.

    In a layer without a bias, one weight of each row is chosen. The paper has fully connected layers; here a
    convolution has a row for each output channel, and attention and recurrent weights have one for each unit.

    Source: Lu, Shin, Su & Karniadakis 2020, Dying ReLU and initialization, and the code in it.
    Acts on: every weight and its bias, together.
    """
    for found in walk(model):
        if found.role in MATRICES and found.tensor.is_floating_point() and found.tensor.numel():
            layer = describe_layer(found.name, found.module, found.key, found.tensor)
            weight, bias = found.tensor.detach().clone(), _partner(found.module, found.key, "weight", "bias")
            shift = None if bias is None else bias.detach().clone()
            blocks, generator = layer.to_blocks(weight), stream(f"{found.name}/asymmetric")
            for index, block in enumerate(blocks):
                _make_asymmetric(block, None if shift is None else shift.chunk(layer.blocks)[index], generator)
            layer.from_blocks(blocks, weight)
            write(found.module, found.key, weight)
            if shift is not None:
                write(found.module, found.key.replace("weight", "bias"), shift)


def _make_asymmetric(block: Tensor, shift: Tensor | None, generator: Generator) -> None:
    """Replace an entry of each row of [W b], in place."""
    rows = block.flatten(1) if shift is None else torch.cat([block.flatten(1), shift[:, None]], 1)
    chosen = torch.randint(rows.shape[1], (len(rows), 1), generator=generator)
    # The distribution function of Beta(2, 1) is x^2.
    rows = rows.scatter(1, chosen, torch.rand(len(rows), 1, generator=generator).sqrt().to(rows))
    block.copy_(rows[:, : block[0].numel()].view_as(block))
    if shift is not None:
        shift.copy_(rows[:, -1])


def _std(layer: Layer, *, gain: float = 1.0) -> float:
    weight = _partner(layer.module, layer.key, "bias", "weight")
    if weight is None:
        return 0.0
    fan_in = describe_layer(layer.name, layer.module, layer.key.replace("bias", "weight"), weight).fan_in
    return gain / math.sqrt(fan_in) if fan_in else 0.0


@expected_std(_std)
def bias_(tensor: Tensor, layer: Layer, generator: Generator, *, gain: float = 1.0) -> None:
    """N(0, gain^2 / fan_in) with the fan_in of the layer's weight; 0 for a bias without a weight."""
    init.normal_(tensor, 0.0, _std(layer, gain=gain), generator)


def _partner(module: nn.Module, key: str, kind: str, other: str) -> Tensor | None:
    """The bias of a weight or the weight of a bias: bias_ih_l0 for weight_ih_l0; None if there is none."""
    partner = getattr(module, key.replace(kind, other), None)
    return partner if isinstance(partner, Tensor) else None
