"""Recipes of language models: one standard deviation for matrices, others for residual outputs, embeddings and head."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from initbench.init.declarations import ExpectedStds
from initbench.init.parametrized import write
from initbench.init.roles import MATRICES, NamedParameter, value_of, walk
from initbench.init.schemes.elementary import truncated_std
from initbench.init.structure.attention import Attention
from initbench.init.structure.blocks import BranchMatrix, distinct
from initbench.init.structure.branch import Branch
from initbench.init.structure.projection import Projection

Std = float | Literal["fan_in", "width", "small"]

HOW_TO_UNTIE = (
    "model.tied=false for model=gpt, 'model.config={tie_word_embeddings: false}' for model=transformers, "
    "tie_word_embeddings=False in a Hugging Face config"
)


@torch.no_grad()
def transformer_(
    model: nn.Module,
    branches: list[Branch],
    branch_matrices: list[BranchMatrix],
    attentions: list[Attention],
    matrices: list[NamedParameter],
    loose: list[NamedParameter],
    positions: list[NamedParameter],
    stream: Callable[[str], Generator],
    *,
    std: Std = 0.02,
    cut: float | None = None,
    distribution: Literal["normal", "uniform"] = "normal",
    residual: Literal["none", "total", "index", "wang", "zero"] = "none",
    residual_layers: int | None = None,
    scale_up: bool = False,
    mlp_factor: float = 1.0,
    embedding_std: Std | None = None,
    embedding_cut: float | None = None,
    position_std: Std | None = None,
    head_std: Std | None = None,
    head_cut: float | None = None,
) -> ExpectedStds:
    """N(0, std^2) for all matrices and embeddings, but other variances for matrices that write to the residual stream.

    The output of an attention and the last layer of an MLP write to the residual stream, a sum over R = 2 L branches in
    L layers. In layer l = 0, ..., L - 1 of a stream of width d, `residual` gives them the standard deviation:

        residual   none   total          index                  wang              zero
                   std    std / sqrt(R)  std / sqrt(2 (l + 1))  4 / (R sqrt(d))   0

    `residual_layers` is R; None means the number of branches that the model adds to the stream. A branch that it adds
    several times counts as often, and l is that of the first time. With `scale_up`, the up projection of a gated MLP,
    down(activation(gate(x)) * up(x)), is scaled in the same way. `mlp_factor` multiplies the layers of an MLP that read
    the stream.

    A standard deviation is a number, `fan_in` for 1 / sqrt(fan_in), `width` for 1 / sqrt(d), or `small` for
    sqrt(2 / (5 d)). For a matrix outside the branches, d is the width of the stream that it writes to or reads. In an
    embedding, d is the number of features of a token, and `fan_in` means `width`. Token embeddings, position embeddings
    and the head (the matrix that is used last) have standard deviations of their own, `embedding_std`, `position_std`
    and `head_std`; None means `std`. A head that shares the weight of the embedding is drawn once, as the embedding. A
    weight that several layers share is drawn once, as that of the first.

    Weights that are more than `cut` standard deviations from 0 are drawn again, as by torch.nn.init.trunc_normal_. This
    makes their actual standard deviation smaller. `embedding_cut` and `head_cut` do the same for embeddings and the
    head. `distribution` is for the matrices in residual branches; if it is uniform, their bounds are +-sqrt(3) std.

    Raises ValueError for a model without attentions or residual branches, and for matrices or embeddings that belong to
    no layer, as in mixtures of experts; for a standard deviation or a factor that is not positive; for a standard
    deviation of embeddings or a head that the model lacks; for a cut below 1 or together with a uniform distribution;
    and for `residual_layers` with a `residual` that does not use it.

    Source: Radford et al. 2019, section 2.3 (total); Shoeybi et al. 2019 (cut); torchtitan and OLMo (index); GPT-NeoX
    (wang); Nguyen & Salazar 2019, section 2.2 (small); nanochat (zero, uniform).
    Acts on: all weight matrices and embeddings.
    """
    stds = {"std": std, "embedding_std": embedding_std, "position_std": position_std, "head_std": head_std}
    _check(stds, {"cut": cut, "embedding_cut": embedding_cut, "head_cut": head_cut})
    if mlp_factor <= 0:
        raise ValueError(f"mlp_factor must be above 0, got {mlp_factor}")
    if cut is not None and distribution == "uniform":
        raise ValueError("cut is for normal distributions: with distribution=uniform it must be null")
    if residual_layers is not None and (residual not in ("total", "wang") or residual_layers < 1):
        raise ValueError(f"residual_layers={residual_layers} must be a count, and is for residual=total or wang")
    known = {found.name for found in positions}
    for found in loose:
        if found.name not in known:
            raise ValueError(f"{found.name} belongs to no layer or embedding, so it cannot be told what it is for")
    tokens = [found for found in walk(model) if found.role == "embedding" and found.name not in known]
    for key, embeddings in (("embedding_std", tokens), ("position_std", positions)):
        if stds[key] is not None and not embeddings:
            what = key.removesuffix("_std").replace("embedding", "token")
            raise ValueError(f"{key} is for {what} embeddings, and {type(model).__name__} has none: {key}=null")
    inside = {(id(each.projection.module), each.projection.key) for each in branch_matrices}
    outside = [found for found in walk(model) if found.role in MATRICES and (id(found.module), found.key) not in inside]
    head = matrices[-1]
    if head_std is not None and head.name not in {found.name for found in outside}:
        why = f"shares its weight with {head.name}" if head in tokens else f"is {head.name}, in a residual branch"
        raise ValueError(
            f"head_std is for a head of its own, and the last matrix {why}: build the model with one "
            f"({HOW_TO_UNTIE}), or set head_std=null"
        )

    variances: dict[str, float] = defaultdict(float)  # a packed matrix has the mean of those of its projections
    for each in distinct(branch_matrices):
        deviation = _size(std, math.prod(each.projection.shape[1:]), _width(each, branch_matrices))
        if each.purpose == "out" or (scale_up and each.purpose == "up"):
            count = residual_layers or sum(other.runs for other in branches if other.stream == each.branch.stream)
            deviation = _residual(residual, deviation, _width(each, branch_matrices), count, each.branch.depth)
        elif each.branch.kind != "attention":
            deviation *= mlp_factor
        name = each.projection.name if each.projection.rows is None else f"{each.projection.name}.{each.purpose}"
        draw = _uniform if distribution == "uniform" else partial(_normal, cut=cut)
        value = draw(each.projection.shape, deviation, stream(name))
        each.projection.write(value)
        share = value.numel() / value_of(each.projection.module, each.projection.key).numel()
        variances[each.projection.name] += share * _remaining(deviation, cut) ** 2
    widths = {_width(each, branch_matrices) for each in branch_matrices}
    for found in outside:
        projection = Projection(found.name, found.module, found.key)
        out, *rest = projection.shape
        is_head = found.name == head.name
        width = rest[0] if is_head or (out not in widths and rest[0] in widths) else out
        own, limit = (head_std, head_cut) if is_head else (None, cut)
        deviation = _size(std if own is None else own, math.prod(rest), width)
        projection.write(_normal(projection.shape, deviation, stream(found.name), limit))
        variances[found.name] = _remaining(deviation, limit) ** 2
    for own, found in [*((embedding_std, each) for each in tokens), *((position_std, each) for each in positions)]:
        deviation = _size(std if own is None else own, found.tensor.shape[-1], found.tensor.shape[-1])
        value = _normal(tuple(found.tensor.shape), deviation, stream(found.name), embedding_cut)
        if (padding := getattr(found.module, "padding_idx", None)) is not None:
            value[padding] = 0
        write(found.module, found.key, value)
        variances[found.name] = _remaining(deviation, embedding_cut) ** 2
    return ExpectedStds({name: math.sqrt(variance) for name, variance in variances.items()})


def _check(stds: Mapping[str, Std | None], cuts: Mapping[str, float | None]) -> None:
    for key, std in stds.items():
        if isinstance(std, int | float) and not 0 < std < math.inf:
            raise ValueError(f"{key} must be above 0, got {std}")
    for key, cut in cuts.items():
        if cut is not None and not cut >= 1:
            raise ValueError(f"{key} must be at least 1, in standard deviations, got {cut}")


def _size(std: Std, fan_in: int, width: int) -> float:
    if isinstance(std, int | float):
        return std
    return {"fan_in": fan_in**-0.5, "width": width**-0.5, "small": math.sqrt(2 / (5 * width))}[std]


def _residual(rule: str, std: float, width: int, count: int, depth: int) -> float:
    by_rule = {
        "none": std,
        "total": std / math.sqrt(count),
        "index": std / math.sqrt(2 * (depth + 1)),
        "wang": 4 / (count * math.sqrt(width)),
        "zero": 0.0,
    }
    return by_rule[rule]


def _width(matrix: BranchMatrix, matrices: list[BranchMatrix]) -> int:
    """The width of the residual stream that a branch adds to.

    Raises ValueError if no layer of the branch writes to the stream.
    """
    for each in matrices:
        if each.branch is matrix.branch and each.purpose == "out":
            return each.projection.shape[0]
    raise ValueError(f"no layer of {matrix.branch.name} can be told to write to the residual stream")


def _normal(shape: tuple[int, ...], std: float, generator: Generator, cut: float | None = None) -> Tensor:
    value = torch.zeros(shape)
    if std == 0 or cut is None:
        return value.normal_(0.0, std, generator=generator)
    return nn.init.trunc_normal_(value, 0.0, std, -cut * std, cut * std, generator)


def _uniform(shape: tuple[int, ...], std: float, generator: Generator) -> Tensor:
    return torch.zeros(shape).uniform_(-math.sqrt(3) * std, math.sqrt(3) * std, generator=generator)


def _remaining(std: float, cut: float | None) -> float:
    """The standard deviation of a normal without what is more than `cut` standard deviations from 0."""
    return std if cut is None else truncated_std(std=std, a=-cut * std, b=cut * std)
