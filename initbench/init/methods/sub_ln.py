"""Sub-LN: the gains of Foundation Transformers (Magneto), for pre-norm transformers."""

import math
from collections import Counter

import torch
from torch import nn

from initbench.init.attention import Attention
from initbench.init.blocks import BranchMatrix
from initbench.init.branch import Branch
from initbench.init.methods.encoders import scale_layers, starts_with_norm


@torch.no_grad()
def sub_ln_(
    model: nn.Module, branches: list[Branch], attentions: list[Attention], branch_matrices: list[BranchMatrix]
) -> dict[str, float]:
    """Values, outputs and MLPs * sqrt(log(2 N)), for an encoder or a decoder of N layers.

    One step of the optimizer then changes the function by an amount that does not depend on N. Weights start from
    Xavier's, so the factor is the gain of the scaled weights; query, key and all weights outside the branches keep
    gain 1. An encoder of N layers whose decoder has M has gain sqrt(log(3 M) log(2 N) / 3), and the decoder
    sqrt(log(3 M)); cross-attentions keep gain 1, as in the authors' code. In a gated MLP, which the paper does not
    have, all three matrices are scaled.

    In a Sub-LN model each branch has two norms, one at its start and one before its last matrix (in timm's
    eva02_base_patch16_clip_224, for example). The first is required. The second is not, since an initialization cannot
    add it: a pre-norm model without it gets the same weights, though the paper proposes them for models with both.

    Returns `gain`; `gain_0`, `gain_1`, ... for a model of several stacks, in the order of execution.

    Raises ValueError for a model whose branches do not start with a norm, and for one that is neither an encoder nor a
    decoder, as with a cross-attention in some of its layers only.

    Source: Wang et al. 2022, Foundation Transformers, Figure 2; torchscale.
    Acts on: attentions and MLPs of pre-norm transformers.
    """
    for branch in branches:
        if not starts_with_norm(branch):
            raise ValueError(
                "sub_ln needs residual branches that start with a norm, and "
                f"{branch.name or type(branch.block).__name__} does not"
            )
    gains = _gains(_layers(branches, attentions))
    for stream, gain in gains.items():
        own = [each for each in branch_matrices if each.branch.stream == stream and not _crosses(each.branch)]
        scale_layers(own, gain)
    return {"gain" if len(gains) == 1 else f"gain_{stream}": gain for stream, gain in gains.items()}


def _crosses(branch: Branch) -> bool:
    return any(not attention.reads_one for attention in branch.attentions)


def _layers(branches: list[Branch], attentions: list[Attention]) -> dict[int, tuple[int, bool]]:
    """The number of layers of each stack, and whether these have a cross-attention, by the number of its stream."""
    crossed = Counter(branch.stream for branch in branches if _crosses(branch))
    own = Counter(branch.stream for branch in branches if branch.attentions and not _crosses(branch))
    streams = sorted({branch.stream for branch in branches})
    is_known = sum(len(branch.attentions) for branch in branches) == len(attentions)
    if (
        not is_known
        or any(attention.output is None for attention in attentions)
        or any(not own[stream] or crossed[stream] not in (0, own[stream]) for stream in streams)
        or len(crossed) > 1
    ):
        raise ValueError(
            "sub_ln is a rule for encoders and decoders, in which each layer is a self-attention, in a decoder perhaps "
            f"a cross-attention, and an MLP: here {len(branches)} residual branches have {len(attentions)} attentions, "
            f"{sum(crossed.values())} of them crossed"
        )
    return {stream: (own[stream], bool(crossed[stream])) for stream in streams}


def _gains(layers: dict[int, tuple[int, bool]]) -> dict[int, float]:
    """The gain of each stack (Figure 2)."""
    decoder = next((depth for depth, is_crossed in layers.values() if is_crossed), None)
    if decoder is None:
        return {stream: math.sqrt(math.log(2 * depth)) for stream, (depth, _) in layers.items()}
    return {
        stream: math.sqrt(math.log(3 * decoder) * (1 if is_crossed else math.log(2 * depth) / 3))
        for stream, (depth, is_crossed) in layers.items()
    }
