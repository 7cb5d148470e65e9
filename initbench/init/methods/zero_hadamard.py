"""ZerO (Zhao, Schäfer & Anandkumar 2022): nothing is random; and `fill_last_layers`, which IDInit uses too."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from initbench.init.layer import Layer, describe_layer
from initbench.init.parametrized import write
from initbench.init.schemes.elementary import zeros_
from initbench.init.structure.branch import Branch


def zero_hadamard_(
    model: nn.Module, branches_if_any: list[Branch], stream: Callable[[str], Generator]
) -> dict[str, int]:
    """Zero the last linear layer or convolution of every residual branch; `schemes.identity.hadamard_` fills the rest.

    No weight of the model is then random. Returns the number of `branches` found; in a model without any, all weights
    are those of the scheme. Where parallel layers end a branch, all of them are zero.

    Source: Zhao, Schäfer & Anandkumar 2022, Algorithm 2.
    Acts on: the last weight of each residual branch; its scheme on every linear and convolutional layer.
    """
    return {"branches": fill_last_layers(branches_if_any, stream, zeros_)}


@torch.no_grad()
def fill_last_layers(
    branches: list[Branch], stream: Callable[[str], Generator], scheme: Callable[[Tensor, Layer, Generator], None]
) -> int:
    """Fill the last weights of every residual branch by a scheme; return the number of branches that have a weight.

    The last weight of an nn.MultiheadAttention is that of its output projection.
    """
    for name, module in {each: None for branch in branches for each in branch.last_layers}:
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
        write(module, "weight", value)
    return sum(1 for branch in branches if branch.last_layers)
