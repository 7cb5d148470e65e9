"""ZerO (Zhao, Schäfer & Anandkumar 2022), and what it shares with IDInit: the ends of residual branches."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize

from initbench.init.layer import Layer, describe_layer
from initbench.init.schemes.elementary import zeros_
from initbench.init.structure import find_branches


def zero_hadamard_(model: nn.Module, stream: Callable[[str], Generator]) -> dict[str, int]:
    """Zero the last linear layer or convolution of every residual branch; `schemes.identity.hadamard_` fills the rest.

    With the scheme as what it starts from, no weight of the model is random. Returns how many `branches` it found;
    a model without any keeps what the scheme filled.

    Source: Zhao, Schäfer & Anandkumar 2022, Algorithm 2.
    Acts on: the last weight of each residual branch; its scheme on every linear and convolutional layer.
    """
    return {"branches": fill_ends(model, stream, zeros_)}


@torch.no_grad()
def fill_ends(
    model: nn.Module, stream: Callable[[str], Generator], scheme: Callable[[Tensor, Layer, Generator], None]
) -> int:
    """Fill the last weight of every residual branch by a scheme; return the number of branches that have one.

    Of an nn.MultiheadAttention the last weight is that of its output projection.
    """
    ends = [branch.weighted[-1] for branch in find_branches(model) if branch.weighted]
    for name, module in ends:
        if isinstance(module, nn.MultiheadAttention):
            name, module = f"{name}.out_proj", module.out_proj
        weight = module.weight
        assert isinstance(weight, Tensor)
        layer = describe_layer(f"{name}.weight", module, "weight", weight)
        value = torch.empty(weight.shape)
        blocks = layer.to_blocks(value)
        for block in blocks:
            scheme(block, layer, stream(layer.name))
        layer.from_blocks(blocks, value)
        if parametrize.is_parametrized(module, "weight"):
            module.weight = value  # through the parametrization's right_inverse
        else:
            weight.copy_(value)
    return len(ends)
