"""The weight matrices of residual branches and what each is for, in transformers and other residual networks."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn

from initbench.init.memory import storage_of
from initbench.init.structure.branch import Branch
from initbench.init.structure.projection import Projection


@dataclass(frozen=True)
class BranchMatrix:
    """A weight, or a part of one, of a residual branch.

    purpose: `query`, `key` or `value` of an attention; `gate` or `up` of down(activation(gate(x)) * up(x)); `out` if it
    writes to the residual stream, as an attention's output and the last layer of an MLP do; `inner` for any other.
    """

    purpose: str
    projection: Projection
    branch: Branch


def branch_matrices(branches: list[Branch]) -> list[BranchMatrix]:
    """The matrices of all branches, each once, in execution order; a weight that modules share once for each."""
    found: dict[tuple[int, str, tuple[int, ...] | None], BranchMatrix] = {}
    for branch in branches:
        for purpose, projection in _of_branch(branch):
            key = id(projection.module), projection.key, projection.rows
            found.setdefault(key, BranchMatrix(purpose, projection, branch))
    return [*found.values(), *_rests([*found.values()])]


def distinct(matrices: list[BranchMatrix]) -> list[BranchMatrix]:
    """The matrices without those whose weight an earlier one shares."""
    found: dict[object, BranchMatrix] = {}
    for each in matrices:
        own = each.projection.module._parameters.get(each.projection.key)
        key = (id(each.projection.module), each.projection.key) if own is None else storage_of(own)
        found.setdefault((key, each.projection.rows), each)
    return [*found.values()]


def _rests(matrices: list[BranchMatrix]) -> Iterator[BranchMatrix]:
    """The other rows of layers in which query, key and value, or gate and up, are packed, such as those of an MLP."""
    packed: dict[tuple[nn.Module, str], list[BranchMatrix]] = {}
    for each in matrices:
        if each.projection.rows is not None:
            packed.setdefault((each.projection.module, each.projection.key), []).append(each)
    for parts in packed.values():
        whole = replace(parts[0].projection, rows=None)
        known = {row for each in parts for row in each.projection.rows or ()}
        if rest := tuple(row for row in range(whole.shape[0]) if row not in known):
            yield BranchMatrix("inner", replace(whole, rows=rest), parts[0].branch)


def _of_branch(branch: Branch) -> Iterator[tuple[str, Projection]]:
    parts: list[tuple[str, Projection]] = []
    for attention in branch.attentions:
        parts += [("query", attention.query), ("key", attention.key), ("value", attention.value)]
    if branch.gated is not None and not branch.attentions:
        parts += zip(("gate", "up"), branch.gated, strict=True)
    yield from parts
    taken = {id(projection.module) for _, projection in parts}
    last = {id(module) for _, module in branch.last_layers}
    for name, module in branch.weighted:
        if isinstance(module, nn.MultiheadAttention):
            yield "out" if id(module) in last else "inner", Projection(f"{name}.out_proj.weight", module.out_proj)
        elif id(module) not in taken:
            yield "out" if id(module) in last else "inner", Projection(f"{name}.weight", module)
