"""Randomized asymmetric initialization: fewer ReLU networks that are born dead (Lu et al. 2020)."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from initbench.init.layer import describe_layer
from initbench.init.methods.execution import write
from initbench.init.roles import MATRICES, walk

_SIGMA = 0.6007  # the paper's, for Beta(2, 1): with it, the expected norm of the signal grows little with depth


@torch.no_grad()
def rai_(model: nn.Module, stream: Callable[[str], Generator]) -> None:
    """The rows of [W b] are N(0, 0.6007^2 / fan_in), with one entry of each, chosen at random, from Beta(2, 1).

    That entry is positive (its mean is 2/3), and inputs from a ReLU are not negative, so a unit is less often dead on
    all data than with weights that are symmetric around zero. A bias counts as one more entry of its row; a layer
    without a bias has its weights alone. The fan_in does not count the bias, as in the authors' code.

    The paper has fully connected layers. Here a convolution has a row for each output channel, and the weights of
    attention and recurrent layers a row for each unit. All weight matrices and their biases are drawn, so `weight`,
    `bias` and rules have no effect on them.

    Source: Lu, Shin, Su & Karniadakis 2020, Dying ReLU and initialization, section 4 and the code in its appendix.
    Acts on: every weight and its bias, together.
    """
    for found in walk(model):
        if found.role in MATRICES and found.tensor.is_floating_point() and found.tensor.numel():
            layer = describe_layer(found.name, found.module, found.key, found.tensor)
            bias_key = found.key.replace("weight", "bias")
            bias = getattr(found.module, bias_key, None)
            weight = torch.empty(found.tensor.shape)
            blocks = layer.to_blocks(weight)
            shifts = [_fill(block, bias is not None, stream(f"{found.name}/{i}")) for i, block in enumerate(blocks)]
            layer.from_blocks(blocks, weight)
            write(found.module, found.key, weight)
            if bias is not None:
                write(found.module, bias_key, torch.cat(shifts))


def _fill(block: Tensor, has_bias: bool, generator: Generator) -> Tensor:
    """Fill the weights of some units; return their biases, of shape (out,), or an empty tensor."""
    fan_in = block[0].numel()
    rows = torch.randn(len(block), fan_in + has_bias, generator=generator) * (_SIGMA / math.sqrt(fan_in))
    chosen = torch.randint(rows.shape[1], (len(rows), 1), generator=generator)
    # The distribution function of Beta(2, 1) is x^2.
    rows.scatter_(1, chosen, torch.rand(len(rows), 1, generator=generator).sqrt())
    block.copy_(rows[:, :fan_in].view_as(block))
    return rows[:, fan_in:].flatten()
