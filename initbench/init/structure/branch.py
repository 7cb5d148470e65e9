"""Residual branches, of models that can be run and of models whose blocks have known names."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.roles import is_norm
from initbench.init.structure.attention import Attention, listed_attentions, traced_attentions
from initbench.init.structure.families import FAMILIES, GATES, SIDE_PATHS, SKIP_SCALES
from initbench.init.structure.projection import Projection
from initbench.init.structure.residual import WEIGHTED, Residual, residuals
from initbench.init.structure.trace import Trace


@dataclass(frozen=True)
class Branch:
    """One residual branch: `skip_scale * x + gate * branch(x)`; a block with attention and MLP has two."""

    name: str  # qualified name, "stage1.0.branch" or "blocks.0.attn"; the name of the block if it has several parts
    block: nn.Module
    # The leaf modules that have parameters or normalize, with qualified names, in execution order. An
    # nn.MultiheadAttention counts as one leaf; squeeze-and-excitation and similar multipliers are left out.
    modules: tuple[tuple[str, nn.Module], ...]
    # Those of `modules` that no layer, norm or matrix follows; several if the branch has parallel paths.
    ends: tuple[tuple[str, nn.Module], ...]
    weighted: tuple[tuple[str, nn.Module], ...]  # the layers with a weight; none if the branch only pools or shifts
    last_layers: tuple[tuple[str, nn.Module], ...]  # those of `weighted` that no other follows
    kind: str  # "attention", "mlp" or "conv"
    gate: nn.Parameter | None
    skip_scale: nn.Parameter | None
    depth: int  # the layers before it in its stream, where a layer is an attention with its MLP, or else a block
    stream: int  # branches that add to the same features have the same number
    runs: int = 1  # how often it is added to the same features, as in ALBERT, whose layers are one
    multiplier: Tensor | None = None  # a constant by which the branch is multiplied: a buffer with one number
    gated: tuple[Projection, Projection] | None = None  # gate and up of down(activation(gate(x)) * up(x))
    attentions: tuple[Attention, ...] = ()  # those in the branch
    # Whether the last layers are followed by a product with a matrix of no layer, as in mixtures of experts.
    ends_outside_layers: bool = False

    @property
    def norms(self) -> list[tuple[str, nn.Module]]:
        """The normalization layers, in execution order."""
        return [(name, module) for name, module in self.modules if is_norm(module)]

    @property
    def last_norms(self) -> list[tuple[str, nn.Module]]:
        """The norms that end the branch, one for each of parallel paths; empty if a path ends with a weighted layer."""
        return list(self.ends) if all(is_norm(module) for _, module in self.ends) else []

    @property
    def last_norm(self) -> tuple[str, nn.Module] | None:
        """The norm at the end of the branch; None if it ends with a weighted layer, as in pre-norm transformers."""
        return self.last_norms[-1] if self.last_norms else None


def traced_branches(trace: Trace) -> tuple[list[Branch], list[Attention]]:
    """The residual branches and the attentions of a model that was run, each in execution order."""
    found = residuals(trace)
    attentions = [*traced_attentions(trace, {residual.sum for residual in found})]
    within: list[tuple[Attention, ...]] = [()] * len(found)
    begins = [False] * len(found)  # whether the branch has a self-attention: whether its keys depend on x
    for keys, attention in attentions:
        for index, residual in enumerate(found):
            if residual.is_attention and attention.query.module in residual.modules:
                within[index] = (*within[index], attention)
                begins[index] |= bool(trace.steps[keys].ancestors >> residual.fork & 1)
    branches: list[Branch] = []
    for index, residual in enumerate(found):
        stream, above = _stream(trace, found[:index], residual, branches)
        depth = 0 if above is None else above.depth + _begins_layer(residual.block, begins[index], above, branches)
        branches.append(_traced(residual, trace.names, depth, stream, within[index]))
    return branches, [attention for _, attention in attentions]


def _stream(
    trace: Trace, before: list[Residual], residual: Residual, branches: list[Branch]
) -> tuple[int, Branch | None]:
    """The stream that a branch adds to, and the branch that added to it last; None for the first one."""
    for earlier, branch in zip(reversed(before), reversed(branches), strict=True):
        if trace.steps[residual.fork].ancestors >> earlier.sum & 1 or earlier.fork == residual.fork:
            return branch.stream, branch
    return max((branch.stream for branch in branches), default=-1) + 1, None


def _begins_layer(block: nn.Module, is_self_attention: bool, above: Branch, branches: list[Branch]) -> bool:
    """Whether a branch begins a layer, rather than being an MLP or a cross-attention of the layer above."""
    if block is above.block:
        return False
    layer = [each for each in branches if (each.stream, each.depth) == (above.stream, above.depth)]
    kinds = {each.kind == "attention" for each in layer}
    return is_self_attention or kinds != {True}


def _traced(
    residual: Residual, names: dict[nn.Module, str], depth: int, stream: int, attentions: tuple[Attention, ...]
) -> Branch:
    def named(modules: list[nn.Module]) -> tuple[tuple[str, nn.Module], ...]:
        return tuple((names[module], module) for module in modules)

    parts = [part for part in residual.parts if not _is_norm_part(names[part].rpartition(".")[2], part)]
    return Branch(
        name=names[parts[0] if len(parts) == 1 else residual.block],
        block=residual.block,
        modules=named(residual.modules),
        ends=named(residual.ends),
        weighted=named(residual.weighted),
        last_layers=named(residual.last_layers),
        kind="attention" if residual.is_attention else _kind(residual.parts),
        gate=residual.gate,
        skip_scale=residual.skip_scale,
        depth=depth,
        stream=stream,
        runs=residual.runs,
        multiplier=residual.multiplier,
        gated=residual.gated,
        attentions=attentions,
        ends_outside_layers=residual.ends_outside_layers,
    )


def _is_norm_part(key: str, part: Any) -> bool:
    return key.startswith(("norm", "ln_")) or (isinstance(part, nn.Module) and is_norm(part))


def listed_branches(model: nn.Module) -> list[Branch]:
    """The residual branches of blocks whose parts have known names, in registration order."""
    found: list[Branch] = []
    for name, block in model.named_modules():
        family = next((family for family in FAMILIES if family.fits(block)), None)
        for parts in () if family is None else family.parts(block):
            branch = _listed(name, block, parts)
            above = found[-1] if found else None
            depth = 0 if above is None else above.depth + _begins_layer(block, branch.kind == "attention", above, found)
            found.append(replace(branch, depth=depth))
    return found


def _listed(name: str, block: nn.Module, parts: list[str]) -> Branch:
    present = {key: getattr(block, key) for key in parts if getattr(block, key, None) is not None}
    factors = {key: _factor(part) for key, part in present.items() if key.startswith(GATES + SKIP_SCALES)}
    steps = [(key, part) for key, part in present.items() if key not in factors]
    named = [key for key, part in steps if not _is_norm_part(key, part)]
    prefix = f"{name}." if name else ""
    modules = tuple(leaf for key, part in steps for leaf in _leaves(prefix + key, part))
    weighted = tuple(each for each in modules if isinstance(each[1], WEIGHTED))
    return Branch(
        name=prefix + named[0] if len(named) == 1 else name,
        block=block,
        modules=modules,
        ends=tuple(each for each in modules if is_norm(each[1]) or isinstance(each[1], WEIGHTED))[-1:],
        weighted=weighted,
        last_layers=weighted[-1:],
        kind="attention" if _is_attention([part for _, part in steps]) else _kind([part for _, part in steps]),
        gate=next((factor for key, factor in factors.items() if key.startswith(GATES)), None),
        skip_scale=next((factor for key, factor in factors.items() if key.startswith(SKIP_SCALES)), None),
        depth=0,
        stream=0,
        attentions=tuple(attention for key, part in steps for attention in listed_attentions(part, f"{prefix}{key}")),
    )


def _factor(part: nn.Module | nn.Parameter) -> nn.Parameter | None:
    """The parameter of a multiplier, which is a parameter or a module with one (LayerScale); None for nn.Identity."""
    return part if isinstance(part, nn.Parameter) else next(part.parameters(), None)


def _leaves(name: str, module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if type(module).__name__.startswith(SIDE_PATHS):
        return
    # Types are checked first, since a parametrized layer has children too: its parametrizations.
    if isinstance(module, WEIGHTED) or is_norm(module) or not list(module.children()):
        if is_norm(module) or any(True for _ in module.parameters()):
            yield name, module
        return
    # An attention may register modules that act on its scores after its output projection, which runs last.
    for key, child in sorted(module.named_children(), key=lambda item: item[0] == "proj"):
        yield from _leaves(f"{name}.{key}", child)


def _is_attention(parts: list[nn.Module]) -> bool:
    """Whether the parts of a branch belong to an attention, as far as their types and attributes tell."""
    modules = (module for part in parts for module in part.modules())
    return any(isinstance(module, nn.MultiheadAttention) or hasattr(module, "num_heads") for module in modules)


def _kind(parts: list[nn.Module]) -> str:
    """The kind of a branch that is no attention."""
    return "conv" if any(isinstance(module, _ConvNd) for part in parts for module in part.modules()) else "mlp"
