"""CompleteP: the best learning rate of a transformer is the same at every width and every depth."""

import math
from collections.abc import Sequence

import torch
from torch import nn

from initbench.init.assignment import Assignment
from initbench.init.declarations import Factors, optimizer_rule
from initbench.init.layer import describe_layer
from initbench.init.methods.transformer import HOW_TO_UNTIE
from initbench.init.parametrized import write
from initbench.init.roles import MATRICES, NamedParameter, walk
from initbench.init.schemes.mup import channels_in, check_base, input_names
from initbench.init.structure.blocks import BranchMatrix, distinct
from initbench.init.structure.branch import Branch


def _factors(
    assignments: Sequence[Assignment],
    adaptive: bool,
    *,
    base_width: float = 64,
    base_depth: float = 2,
    alpha: float = 1.0,
) -> dict[str, Factors]:
    """Table 1's rows for AdamW, each divided by its value at the base width and depth."""
    if not adaptive:
        raise ValueError("complete_p has factors for the settings of Adam and none for SGD: choose optimizer=adamw")
    parts = next(a.layer.position.parts for a in assignments if a.layer.position is not None)
    head = parts.matrices[-1]
    width, depths = _width(head, base_width), _depths(parts.branches, base_depth)
    inside: dict[int, float] = {}
    for branch in parts.branches:
        modules = (module for _, leaf in branch.modules for module in leaf.modules())
        inside |= dict.fromkeys(map(id, modules), depths[branch.stream])
        if branch.gate is not None:
            inside[id(branch.gate)] = depths[branch.stream]
    factors = {}
    for found in (assignment.parameter for assignment in assignments):
        depth = inside.get(id(found.module), inside.get(id(found.tensor), 1.0))
        if found.name == head.name:
            # The paper's logits are W x / m_N. Here the weight is W / m_N, whose gradient is m_N times that of W.
            factors[found.name] = Factors(lr=1 / width, weight_decay=width)
        elif found.module is head.module:
            factors[found.name] = Factors()
        elif found.role in MATRICES and id(found.module) in inside:
            factors[found.name] = Factors(depth ** (alpha - 1) / width, depth**-alpha / width, width)
        else:
            factors[found.name] = Factors(lr=depth ** (alpha - 1), eps=depth**-alpha / width)
    return factors


@optimizer_rule(_factors)
@torch.no_grad()
def complete_p_(
    model: nn.Module,
    branches: list[Branch],
    branch_matrices: list[BranchMatrix],
    matrices: list[NamedParameter],
    *,
    base_width: float = 64,
    base_depth: float = 2,
    alpha: float = 1.0,
) -> None:
    """Weights in branches / sqrt(m_N), each branch * m_L^-alpha, the output layer / m_N, and factors for AdamW.

    m_N is the width, the number of inputs of the output layer, divided by base_width; m_L is the number of blocks
    divided by base_depth. At m_N = m_L = 1 nothing is scaled: tune the learning rate there and use it at every other
    size. The factors are:

                       embeddings, input,   weights                   biases and norms    output
                       last norm            in branches               in branches         weight
        lr             1                    m_L^(alpha - 1) / m_N     m_L^(alpha - 1)     1 / m_N
        eps            1 / m_N              m_L^-alpha / m_N          m_L^-alpha / m_N    1
        weight_decay   1                    m_N                       1                   m_N

    alpha=1 is CompleteP, alpha=0.5 is depth-muP. `initialize` sets weights and branches only. The factors for your own
    optimizer, which must be AdamW or similar, are those of
    `initbench.optimizer_factors(model, "complete_p", adaptive=True)`; a run takes them by itself.

    The weights before this division are those that `weight` produces, N(0, 0.02^2), without GPT-2's 1 / sqrt(2 L). A
    branch is multiplied by a constant: a buffer with one number, which model=gpt has with branch_multiplier=true.

    The paper multiplies the logits by 1 / m_N. Here the weight of the output layer is divided by m_N instead. The
    column for it follows from this: with these factors AdamW changes the logits as in the paper, where this weight has
    lr 1, weight_decay 1 and eps 1 / m_N. (Adam without decoupled weight decay would need weight_decay m_N^2.)

    The paper's table scales eps in the branches only. As the gradients of embeddings and of the last norm are
    proportional to 1 / m_N too, their eps has this factor here. Gates and layer scales in branches have the factors of
    norms. The scale of attention logits belongs to the model and is not changed (q k / d instead of q k / sqrt(d); it
    matters only if d per head grows).

    Raises ValueError for a base_width or base_depth that is not positive, for an alpha outside of [0.5, 1], for SGD,
    for a weight outside of the branches that is neither the first nor the last, for a last weight in a branch, for a
    branch without a constant unless m_L = 1, and for an output layer that shares its weight with an embedding unless
    m_N = 1.

    Source: Dey et al. 2025, Don't be lazy: CompleteP enables compute-efficient deep transformers, table 1.
    Acts on: residual branches, the output layer; learning rates, eps and weight decay of all parameters.
    """
    check_base("complete_p", "base_width", base_width)
    check_base("complete_p", "base_depth", base_depth)
    if not 0.5 <= alpha <= 1:
        raise ValueError(f"complete_p needs an alpha from 0.5 to 1, got {alpha}")
    depths = _depths(branches, base_depth)
    for branch in branches:
        depth = depths[branch.stream]
        if branch.multiplier is not None:
            branch.multiplier.fill_(depth**-alpha)
        elif depth != 1:
            raise ValueError(
                f"complete_p multiplies residual branches by {depth:g}^-{alpha:g}, and {branch.name} has no constant "
                "for it, which is a buffer with one number (model=gpt has one with model.branch_multiplier=true); "
                f"or set base_depth={depth * base_depth:g}"
            )
    head = matrices[-1]
    width = _width(head, base_width)
    _check_others(model, branch_matrices, matrices)
    if head.role == "embedding" and width != 1:
        raise ValueError(
            f"complete_p divides the logits by {width:g}, and the output layer shares its weight with the embedding "
            f"{head.name}: give it one of its own ({HOW_TO_UNTIE}), "
            f"or set base_width={width * base_width:g}"
        )
    for each in distinct(branch_matrices):
        each.projection.write(each.projection.weight / math.sqrt(width))
    if head.role != "embedding":
        write(head.module, head.key, head.tensor / width)


def _width(head: NamedParameter, base_width: float) -> float:
    """m_N: the number of inputs of the output layer / base_width."""
    return channels_in(describe_layer(head.name, head.module, head.key, head.tensor)) / base_width


def _depths(branches: list[Branch], base_depth: float) -> dict[int, float]:
    """m_L by stream, blocks / base_depth: an encoder and a decoder each have their own."""
    blocks: dict[int, int] = {}
    for branch in branches:
        blocks[branch.stream] = max(blocks.get(branch.stream, 0), branch.depth + 1)
    return {stream: number / base_depth for stream, number in blocks.items()}


def _check_others(model: nn.Module, branch_matrices: list[BranchMatrix], matrices: list[NamedParameter]) -> None:
    """Raise ValueError for a weight without a column in the table, and for a model without an output layer."""
    parameters = list(walk(model))
    inside = {(id(each.projection.module), each.projection.key) for each in branch_matrices}
    named = input_names(parameters, matrices) | {matrices[-1].name}
    for found in parameters:
        is_inside = (id(found.module), found.key) in inside
        if is_inside and found.name == matrices[-1].name:
            raise ValueError(f"complete_p needs an output layer, and the last weight, {found.name}, is in a branch")
        if found.role in MATRICES and not is_inside and found.name not in named:
            raise ValueError(
                f"complete_p has rules for embeddings, the input, residual branches and the output layer, and "
                f"{found.name} is in none of them"
            )
