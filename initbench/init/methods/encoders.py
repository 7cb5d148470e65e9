"""Shared by the initializers of transformer encoders: their depth, and the scale of their weights."""

from initbench.init.attention import Attention
from initbench.init.blocks import BranchMatrix
from initbench.init.branch import Branch
from initbench.init.roles import is_norm


def count_layers(branches: list[Branch], attentions: list[Attention], label: str) -> int:
    """The number of layers N of an encoder, in which each layer is one attention and one MLP.

    Raises ValueError if a branch has another attention than self-attention, such as the cross-attention of a decoder,
    for which the papers have other constants.
    """
    layers = sum(branch.kind == "attention" for branch in branches)
    within = [attention for branch in branches for attention in branch.attentions]
    own = sum(attention.reads_one and attention.output is not None for attention in within)
    if layers != own or own != len(within) or not within:
        raise ValueError(
            f"{label} is a rule for encoders, whose attentions make query, key and value of the same features: here "
            f"{layers} residual branches are attentions, and {own} of {len(attentions)} attentions are of this kind"
        )
    return layers


def scale_layers(matrices: list[BranchMatrix], factor: float) -> None:
    """Multiply the value and output projections, and all weights in branches other than attentions (MLPs)."""
    for each in matrices:
        if each.branch.kind != "attention" or each.purpose in ("value", "out"):
            each.projection.write(each.projection.weight * factor)


def starts_with_norm(branch: Branch) -> bool:
    """Whether a branch starts with a norm, as in pre-norm transformers."""
    return bool(branch.modules) and is_norm(branch.modules[0][1])
