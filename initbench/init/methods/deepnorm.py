"""DeepNorm: post-norm transformers of up to a thousand layers, by scaling skip connections and weights."""

import torch
from torch import nn

from initbench.init.methods.encoders import count_layers, scale_layers, skip_scales
from initbench.init.structure.attention import Attention
from initbench.init.structure.blocks import BranchMatrix
from initbench.init.structure.branch import Branch


@torch.no_grad()
def deepnorm_(
    model: nn.Module, branches: list[Branch], attentions: list[Attention], branch_matrices: list[BranchMatrix]
) -> dict[str, float]:
    """x <- LayerNorm(alpha x + branch(x)) with alpha = (2 N)^(1/4); values, outputs, MLPs * beta = (8 N)^(-1/4).

    N is the number of encoder layers, each with one attention and one MLP. Weights start from Xavier's, so beta is the
    gain of the scaled weights; query, key and all weights outside the branches keep gain 1. The `skip_scale` of each
    residual block is set to alpha. Returns `alpha` and `beta`.

    Raises ValueError for a model whose residual blocks lack a `skip_scale` or normalize inside the branch, and for
    decoders, which need other constants.

    Source: Wang et al. 2022, DeepNet, Figure 2 (encoder-only).
    Acts on: attentions, MLPs and skip connections of post-norm transformer encoders.
    """
    layers = count_layers(branches, attentions, "deepnorm")
    alpha, beta = (2 * layers) ** 0.25, (8 * layers) ** -0.25
    for scale in skip_scales(branches, "deepnorm"):
        scale.fill_(alpha)
    scale_layers(branch_matrices, beta)
    return {"alpha": alpha, "beta": beta}
