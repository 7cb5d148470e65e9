"""Zero gamma: the scale of the last norm of each residual branch starts at zero."""

import torch
from torch import nn

from initbench.init.probing import adds_one
from initbench.init.structure.branch import Branch


@torch.no_grad()
def zero_gamma_(model: nn.Module, branches: list[Branch]) -> None:
    """gamma = 0 in the norm at the end of each residual branch, so that each block starts as its skip connection.

    With zero shifts, the default, the branch is zero for any other weights. Squeeze-and-excitation after that norm
    changes nothing, as it multiplies zero. Where parallel paths end a branch, so does a norm of each. The weight of a
    norm that multiplies by 1 + weight becomes -1.

    Raises ValueError for a branch that does not end with a norm, as in pre-norm transformers and pre-activation ResNets
    (zero in their first norm would disconnect the branch from its input), and for a norm without a scale.

    Source: Goyal et al. 2017, section 5.1.
    Acts on: the scale of the last norm of each residual branch.
    """
    for branch in branches:
        if not branch.last_norms:
            raise ValueError(
                "zero_gamma sets the norm that ends each residual branch to zero, and "
                f"{branch.name or type(branch.block).__name__} is not ended by one; fixup starts such branches at "
                "zero, skipinit those that have a gate"
            )
        for name, norm in branch.last_norms:
            if not isinstance(norm.weight, nn.Parameter):
                raise ValueError(f"zero_gamma needs norms with a learnable scale, and {name} has none")
            norm.weight.fill_(-1.0 if adds_one(norm) else 0.0)
