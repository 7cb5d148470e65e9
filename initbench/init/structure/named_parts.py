"""The parts of a model by names that people use, to say which of two initializers draws which part.

    embedding       token embeddings, and a head that shares their weight
    positions       position embeddings
    qkv             queries, keys and values of attentions, in one layer or in three
    attention_out   outputs of attentions
    mlp_in          layers of MLPs that do not write to the residual stream; gate and up of a gated one
    mlp_out         layers of MLPs that write to it
    conv_in         the same two in residual branches with convolutions
    conv_out
    norms           scales and shifts of norms
    input           outside the branches: the layer that is used first,
    head            last,
    hidden          and all others
    other           class tokens, layer scales and whatever else

A layer is in one part, with its bias.
"""

from torch import nn

from initbench.init.roles import MATRICES, walk
from initbench.init.structure.blocks import BranchMatrix
from initbench.init.structure.parts import Parts

PARTS = (
    "embedding",
    "positions",
    "qkv",
    "attention_out",
    "mlp_in",
    "mlp_out",
    "conv_in",
    "conv_out",
    "norms",
    "input",
    "head",
    "hidden",
    "other",
)


def part_of_each(parts: Parts) -> dict[str, str]:
    """The name of the part that each parameter of a model is in, by the name of the parameter.

    Parameters that share memory are listed once, as by `roles.walk`.

    Raises ValueError where the parts of residual branches cannot be told apart: if the model cannot be run, if a matrix
    belongs to no layer, and for a weight that is both of an attention and of an MLP.
    """
    layers = _in_branches(parts)
    used = [found for found in parts.matrices if found.role in MATRICES and found.module not in layers]
    for found in used:
        layers.setdefault(found.module, "input" if found is parts.matrices[0] else "hidden")
    if used and used[-1] is parts.matrices[-1]:
        layers[used[-1].module] = "head"
    positions = {found.name for found in parts.positions}
    return {
        found.name: "positions" if found.name in positions else layers.get(found.module) or _of_role(found.role)
        for found in walk(parts.model)
    }


def _of_role(role: str) -> str:
    if role in MATRICES:  # one that the model does not use
        return "hidden"
    if role == "embedding":
        return role
    return "norms" if role in ("norm_scale", "norm_shift") else "other"


def _in_branches(parts: Parts) -> dict[nn.Module, str]:
    """The part of each layer of a residual branch."""
    layers: dict[nn.Module, str] = {}
    for each in parts.branch_matrices:
        name = _name(each)
        if layers.setdefault(each.projection.module, name) != name:
            both = f"{layers[each.projection.module]} and {name}"
            raise ValueError(f"{each.projection.name} is a weight of {both}, which cannot be drawn apart")
    return layers


def _name(matrix: BranchMatrix) -> str:
    is_out, kind = matrix.purpose == "out", matrix.branch.kind
    if kind == "attention":
        # The other rows of a layer with query, key and value are those of an MLP beside the attention.
        is_beside = matrix.purpose == "inner" and matrix.projection.rows is not None
        return "attention_out" if is_out else "mlp_in" if is_beside else "qkv"
    return f"{'conv' if kind == 'conv' else 'mlp'}_{'out' if is_out else 'in'}"
