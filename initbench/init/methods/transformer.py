"""Shared by the initializers of transformers: depth, attention weights, tokens and position embeddings."""

from typing import Any

import torch
from torch import Tensor, nn

from initbench.init.methods.execution import write
from initbench.init.roles import NamedParameter, is_norm, walk
from initbench.init.structure import Attention, Branch


def count_layers(branches: list[Branch], attentions: list[Attention], label: str) -> int:
    """The number of layers N of an encoder, in which each layer is one attention and one MLP.

    Raises ValueError if a branch has an attention other than self-attention with stacked projections, such as the
    cross-attention of a decoder, for which the papers have other constants.
    """
    layers = sum(branch.kind == "attention" for branch in branches)
    if layers != len(attentions):
        raise ValueError(
            f"{label} is a rule for encoders, whose attentions have query, key and value of the full width in one "
            f"weight: here {layers} residual branches are attentions and {len(attentions)} of these were found"
        )
    return layers


def scale_layers(branches: list[Branch], attentions: list[Attention], factor: float) -> None:
    """Multiply the value and output projections, and all weights in branches other than attentions (MLPs)."""
    for attention in attentions:
        write_projections(attention, value=attention.value * factor, output=attention.output * factor)
    for branch in branches:
        if branch.kind != "attention":
            for _, module in branch.weighted:
                weight: Tensor = module.weight  # type: ignore[assignment]  # a layer's
                write(module, "weight", weight * factor)


def write_projections(attention: Attention, **projections: Tensor) -> None:
    """Set some of `query`, `key`, `value` and `output`, each of shape (width, width) as in nn.Linear.

    Parametrized weights are set through their right_inverse.
    """
    module: Any = attention.module
    packed = [projections.get(key, getattr(attention, key)) for key in ("query", "key", "value")]
    output = projections.get("output", attention.output)
    if isinstance(module, nn.MultiheadAttention):
        write(module, "in_proj_weight", torch.cat(packed))
        write(module.out_proj, "weight", output)
    else:
        write(module.qkv, "weight", torch.cat(packed))
        write(module.proj, "weight", output)


def starts_with_norm(branch: Branch) -> bool:
    """Whether a branch starts with a norm, as in pre-norm transformers."""
    return bool(branch.modules) and is_norm(branch.modules[0][1])


def find_tokens(model: nn.Module) -> list[NamedParameter]:
    """Learned tokens that are added to those of the input (cls_token, class_token, reg_token, mask_token, ...)."""
    return [found for found in _others(model) if found.key.endswith("token")]


def find_position_embeddings(model: nn.Module) -> list[NamedParameter]:
    """Learned position embeddings and position biases (pos_embed, position_embedding, relative_position_...)."""
    return [found for found in _others(model) if found.key.startswith("pos") or "position" in found.key]


def _others(model: nn.Module) -> list[NamedParameter]:
    return [found for found in walk(model) if found.role == "other" and found.tensor.dim() >= 2]
