"""Shared by the initializers of transformers: their depth, the scale of their weights, and their skip connections."""

from torch import nn

from initbench.init.roles import is_norm
from initbench.init.structure.attention import Attention
from initbench.init.structure.blocks import BranchMatrix, distinct
from initbench.init.structure.branch import Branch


def count_layers(branches: list[Branch], attentions: list[Attention], label: str) -> int:
    """The number of layers N of an encoder, in which each layer is one attention and one MLP.

    Raises ValueError if a branch has an attention that is no self-attention, such as a decoder's cross-attention, for
    which the papers have other constants.
    """
    layers = sum(branch.kind == "attention" for branch in branches)
    within = [attention for branch in branches for attention in branch.attentions]
    own = sum(attention.is_self_attention and attention.output is not None for attention in within)
    if layers != own or own != len(within) or not within:
        raise ValueError(
            f"{label} is a rule for encoders, whose attentions make query, key and value of the same features: here "
            f"{layers} residual branches are attentions, and {own} of {len(attentions)} attentions are of this kind"
        )
    return layers


def is_scaled(matrix: BranchMatrix) -> bool:
    """Whether it is a value or output projection, or a weight in a branch other than an attention (an MLP)."""
    return matrix.branch.kind != "attention" or matrix.purpose in ("value", "out")


def scale_layers(matrices: list[BranchMatrix], factor: float) -> None:
    """Multiply the value and output projections, and all weights in branches other than attentions (MLPs)."""
    for each in distinct(matrices):
        if is_scaled(each):
            each.projection.write(each.projection.weight * factor)


def starts_with_norm(branch: Branch) -> bool:
    """Whether a branch starts with a norm, as in pre-norm transformers."""
    return bool(branch.modules) and is_norm(branch.modules[0][1])


def skip_scales(branches: list[Branch], label: str) -> list[nn.Parameter]:
    """The parameters that multiply the skip connection of each branch.

    Raises ValueError for a branch without one, and for a branch that starts with a norm, as in pre-norm transformers.
    """
    scales = []
    for branch in branches:
        if branch.skip_scale is None or starts_with_norm(branch):
            raise ValueError(
                f"{label} needs residual blocks with a skip_scale and a norm after the sum, and "
                f"{branch.name or type(branch.block).__name__} has "
                f"{'no skip_scale' if branch.skip_scale is None else 'its norm first'}: model=vit model.norm=post"
            )
        scales.append(branch.skip_scale)
    return scales
