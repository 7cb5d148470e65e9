"""Sub-LN: the gains of Foundation Transformers (Magneto), for pre-norm transformers."""

import math
from collections import Counter
from collections.abc import Callable

import torch
from torch import Generator, nn

from initbench.init.layer import fans
from initbench.init.methods.encoders import is_scaled, starts_with_norm
from initbench.init.structure.attention import Attention
from initbench.init.structure.blocks import BranchMatrix
from initbench.init.structure.branch import Branch


@torch.no_grad()
def sub_ln_(
    model: nn.Module,
    branches: list[Branch],
    branch_matrices: list[BranchMatrix],
    attentions: list[Attention],
    stream: Callable[[str], Generator],
) -> dict[str, float]:
    """N(0, gain^2 2 / (fan_in + fan_out)); values, outputs and MLPs have gain sqrt(log(2 N)), query and key have 1.

    N is the number of layers of an encoder or a decoder. An encoder of N layers whose decoder has M has gain
    sqrt(log(3 M) log(2 N) / 3), and the decoder sqrt(log(3 M)); cross-attentions have gain 1, as in the authors' code.

    Query, key and value each have their own fans, in one layer or in three. All weights of branches other than
    attentions have the gain of MLPs, also the three of a gated MLP, which the paper does not have. Weights outside the
    branches have the policy `weight`, Xavier's.

    In a Sub-LN model each branch has two norms, one at its start and one before its last matrix (in timm's
    eva02_base_patch16_clip_224, for example). With these gains, the change of the function by one step of the optimizer
    does not grow with N as it does with Xavier's. The first norm is required. The second is part of the model and
    cannot be added here: a pre-norm model without it has the same weights, but this bound does not hold for it.

    Returns `gain`; `gain_0`, `gain_1`, ... for a model of several stacks, in the order of execution.

    Raises ValueError for a model whose branches do not start with a norm, and for one that is neither an encoder nor a
    decoder, such as one with a cross-attention in only some of its layers.

    Source: Wang et al. 2022, Foundation Transformers, Figure 2; torchscale.
    Acts on: attentions and MLPs of pre-norm transformers.
    """
    for branch in branches:
        if not starts_with_norm(branch):
            raise ValueError(
                "sub_ln needs residual branches that start with a norm, and "
                f"{branch.name or type(branch.block).__name__} does not"
            )
    gains = _gains(_layers(branches))
    for each in branch_matrices:
        gain = gains[each.branch.stream] if is_scaled(each) and not _crosses(each.branch) else 1.0
        part = each.projection
        fan_in, fan_out = fans(part.shape, getattr(part.module, "groups", 1))
        std = gain * math.sqrt(2 / (fan_in + fan_out))  # type: ignore[operator]  # a matrix has both
        part.write(std * torch.randn(part.shape, generator=stream(f"{part.name}/{each.purpose}")))
    return {"gain" if len(gains) == 1 else f"gain_{number}": gain for number, gain in gains.items()}


def _crosses(branch: Branch) -> bool:
    return any(not attention.is_self_attention for attention in branch.attentions)


def _layers(branches: list[Branch]) -> dict[int, tuple[int, bool]]:
    """The number of layers of each stack, and whether these have a cross-attention, by the number of its stream."""
    own = Counter(branch.stream for branch in branches if branch.attentions and not _crosses(branch))
    crossed = Counter(branch.stream for branch in branches if _crosses(branch))
    fits = all(own[stream] and crossed[stream] in (0, own[stream]) for stream in {each.stream for each in branches})
    within = [attention for branch in branches for attention in branch.attentions]
    count = sum(branch.kind == "attention" for branch in branches)
    if without := [attention.name for attention in within if not attention.output]:
        raise ValueError(f"sub_ln needs an output projection in each attention, and {without[0]} has none")
    if not fits or len(crossed) > 1 or count != len(within):
        raise ValueError(
            "sub_ln is a rule for encoders and decoders, in which each layer is a self-attention, in a decoder perhaps "
            f"a cross-attention, and an MLP: here {count} residual branches are attentions, {own.total()} of them "
            f"self-attentions and {crossed.total()} cross-attentions, with {len(within)} softmaxes"
        )
    return {stream: (own[stream], bool(crossed[stream])) for stream in sorted(own)}


def _gains(layers: dict[int, tuple[int, bool]]) -> dict[int, float]:
    """The gain of each stack (Figure 2)."""
    decoder = next((depth for depth, is_crossed in layers.values() if is_crossed), None)
    if decoder is None:
        return {stream: math.sqrt(math.log(2 * depth)) for stream, (depth, _) in layers.items()}
    return {
        stream: math.sqrt(math.log(3 * decoder) * (1 if is_crossed else math.log(2 * depth) / 3))
        for stream, (depth, is_crossed) in layers.items()
    }
