"""ZerO (Zhao, Schäfer & Anandkumar 2022): nothing is random; and `fill_last_layers`, which IDInit uses too."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn
from torch.nn.utils import parametrize

from initbench.init.layer import Layer, describe_layer
from initbench.init.schemes.elementary import zeros_
from initbench.init.structure import find_branches


def zero_hadamard_(model: nn.Module, stream: Callable[[str], Generator]) -> dict[str, int]:
    """Zero the last linear layer or convolution of every residual branch; `schemes.identity.hadamard_` fills the rest.

    No weight of the model is then random. Returns the number of `branches` found; in a model without any, all weights
    are those of the scheme.

    Source: Zhao, Schäfer & Anandkumar 2022, Algorithm 2.
    Acts on: the last weight of each residual branch; its scheme on every linear and convolutional layer.
    """
    return {"branches": fill_last_layers(model, stream, zeros_)}


@torch.no_grad()
def fill_last_layers(
    model: nn.Module, stream: Callable[[str], Generator], scheme: Callable[[Tensor, Layer, Generator], None]
) -> int:
    """Fill the last weight of every residual branch by a scheme; return the number of branches that have a weight.

    The last weight of an nn.MultiheadAttention is that of its output projection.
    """
    last_layers = [branch.weighted[-1] for branch in find_branches(model) if branch.weighted]
    for name, module in last_layers:
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
    return len(last_layers)
