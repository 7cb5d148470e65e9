"""The parts of a model that methods work on: residual branches, attentions, gates, recurrent cells.

Residual branches and gates are found by running the model once (recorder.py, residual.py). An attention is told by its
attributes: `qkv` (a Linear with query, key and value stacked), `proj` (a Linear) and `num_heads`; or it is an
nn.MultiheadAttention.

A model that cannot be run takes part by the names of its attributes: a residual block has `branch`, the module whose
output is added to the skip connection, and optionally the parameters `gate` (multiplies the branch) and `skip_scale`
(multiplies the skip connection). The blocks of torch, torchvision and timm have names of their own (families.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.example import examples, like
from initbench.init.families import FAMILIES, GATES, SIDE_PATHS, SKIP_SCALES
from initbench.init.memory import storage_of
from initbench.init.recorder import record
from initbench.init.residual import WEIGHTED, Residual, residuals
from initbench.init.roles import MATRICES, NamedParameter, is_norm, unwrap, walk
from initbench.init.trace import Trace


@dataclass(frozen=True)
class Branch:
    """One residual branch: `skip_scale * x + gate * branch(x)`; a block with attention and MLP has two."""

    name: str  # qualified name, "stage1.0.branch" or "blocks.0.attn"; the name of the block if it has several parts
    block: nn.Module
    # The leaf modules that have parameters or normalize, with qualified names, in execution order. An
    # nn.MultiheadAttention counts as one leaf; squeeze-and-excitation and similar multipliers are left out.
    modules: tuple[tuple[str, nn.Module], ...]
    ends: tuple[tuple[str, nn.Module], ...]  # those that no weighted layer or norm follows; several if parallel
    weighted: tuple[tuple[str, nn.Module], ...]  # the layers with a weight; none if the branch only pools or shifts
    last_layers: tuple[tuple[str, nn.Module], ...]  # those of them that no other follows
    kind: str  # "attention", "mlp" or "conv"
    gate: nn.Parameter | None
    skip_scale: nn.Parameter | None

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


@dataclass(frozen=True)
class Attention:
    """One self-attention over `width` features. Its weights are views of the parameters and may be written in place."""

    name: str
    module: nn.Module
    width: int
    num_heads: int
    query: Tensor  # (width, width), as in nn.Linear: output features first, head by head
    key: Tensor
    value: Tensor
    output: Tensor  # (width, width)


class Parts:
    """The parts of a model, found when they are asked for.

    The model is run at most once, on `inputs` if they are given and else on inputs guessed from its first layers.
    """

    def __init__(self, model: nn.Module, inputs: Tensor | None = None) -> None:
        self.model = unwrap(model)
        self.inputs = inputs
        self.obstacle = ""  # why the model cannot be run

    @cached_property
    def trace(self) -> Trace | None:
        """What the model does, None if it cannot be run."""
        given = [] if self.inputs is None else [like(self.inputs, self.model)]
        try:
            return record(self.model, chain(given, examples(self.model)))
        except ValueError as error:
            self.obstacle = str(error)
            return None

    @cached_property
    def branches(self) -> list[Branch]:
        """All residual branches in execution order.

        Raises ValueError if the model can neither be run nor are its blocks, or all of its modules, of known kinds.
        """
        if self.trace is not None:
            names = self.trace.names
            return [_traced(residual, names) for residual in residuals(self.trace)]
        listed = listed_branches(self.model)
        if not listed and not _is_plain(self.model):
            raise ValueError(
                f"residual branches are found by running the model, and this {type(self.model).__name__} does not run "
                f"{self.obstacle}; pass batch=, or name the branch of each block `branch`"
            )
        return listed

    @property
    def gates(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters that multiply residual branches (gates and layer scales), with their qualified names."""
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        gates = {id(branch.gate): branch.gate for branch in self.branches if branch.gate is not None}
        return [(names[key], gate) for key, gate in gates.items()]

    @property
    def attentions(self) -> list[Attention]:
        """All self-attentions with query, key and value of the full width in one weight, in registration order."""
        crossed = {id(m.multihead_attn) for m in self.model.modules() if isinstance(m, nn.TransformerDecoderLayer)}
        attentions = []
        for name, module in self.model.named_modules():
            packed = None if id(module) in crossed else _packed_projection(module)
            if packed is not None:
                weight, output = packed
                query, key, value = weight.chunk(3)
                attentions.append(Attention(name, module, len(query), int(module.num_heads), query, key, value, output))
        return attentions

    @property
    def recurrents(self) -> list[tuple[str, nn.Module]]:
        """All torch.nn recurrent networks and cells, with their qualified names."""
        return [(n, m) for n, m in self.model.named_modules() if isinstance(m, nn.RNNBase | nn.RNNCellBase)]

    @property
    def parameters(self) -> list[NamedParameter]:
        """All parameters by their first use, unused ones last; in registration order if the model cannot be run."""
        found = list(walk(self.model))
        if self.trace is None:
            return found
        used = {storage_of(parameter): index for index, parameter in reversed([*enumerate(self.trace.parameters)])}
        return sorted(found, key=lambda each: min((used.get(key, len(used)) for key in _memory(each)), default=0))

    @cached_property
    def matrices(self) -> list[NamedParameter]:
        """The weight matrices in the order in which they are used, once for each use.

        A head that shares the weight of an embedding counts. In the order of registration if the model cannot be run.
        """
        found = {key: each for each in walk(self.model) for key in _memory(each)}
        used: Iterator[Tensor]
        if self.trace is not None:
            used = iter(self.trace.matrices)
        else:
            layers = (m for m in self.model.modules() if not isinstance(m, nn.Embedding | nn.EmbeddingBag))
            used = (parameter for layer in layers for parameter in layer.parameters(recurse=False))
        named = [found[key] for parameter in used if (key := storage_of(parameter)) in found]
        return [each for each in named if each.role in (*MATRICES, "embedding")]

    def given(self, what: str, label: str) -> list[Any]:
        """The parts that a method asks for by the name of an argument.

        Raises ValueError, naming what is missing, for a model without any, unless the name ends in `_if_any`.
        """
        try:
            found: list[Any] = getattr(self, what.removesuffix("_if_any"))
        except ValueError as error:
            raise ValueError(f"{label}: {error}") from error
        if not found and what in _MEANING:
            raise ValueError(f"{label} needs {_MEANING[what]}, and {type(self.model).__name__} has none")
        return found


# What a method may ask for by the name of an argument. A model without any is refused.
_MEANING = {
    "branches": "residual branches (f in a sum x + f(x))",
    "attentions": "self-attention layers",
    "gates": "gates: learnable multipliers of residual branches (`gate`, SkipInit's gain, a layer scale)",
    "recurrents": "recurrent layers (RNN, LSTM, GRU)",
}
NEEDED = tuple(_MEANING)
PARTS = (*NEEDED, "branches_if_any", "gates_if_any", "matrices", "parameters")


def find_branches(model: nn.Module, inputs: Tensor | None = None) -> list[Branch]:
    """All residual branches in execution order; blocks without a skip connection have none."""
    return Parts(model, inputs).branches


def find_attentions(model: nn.Module) -> list[Attention]:
    """All self-attentions with query, key and value of the full width in one weight, in registration order."""
    return Parts(model).attentions


def find_gates(model: nn.Module, inputs: Tensor | None = None) -> list[tuple[str, nn.Parameter]]:
    """The parameters that multiply residual branches (gates and layer scales), with their qualified names."""
    return Parts(model, inputs).gates


def find_recurrents(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All torch.nn recurrent networks and cells, with their qualified names."""
    return Parts(model).recurrents


def _memory(found: NamedParameter) -> list[object]:
    """Where the values of a parameter are, which are those behind it if it is parametrized."""
    if not found.parametrized:
        return [storage_of(found.tensor)]
    originals: Any = found.module.parametrizations[found.key]  # type: ignore[index]  # a ModuleDict
    return [storage_of(parameter) for parameter in originals.parameters(recurse=False)]


def _is_plain(model: nn.Module) -> bool:
    """Whether a model consists of torch's own layers and containers alone, which add nothing to what they are given."""
    return all(
        (
            type(module).__module__.startswith(("torch.nn.modules", "torch.nn.utils.parametrize"))
            and (isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) or not [*module.children()])
        )
        or isinstance(module, WEIGHTED)
        for module in model.modules()
    )


def _traced(residual: Residual, names: dict[nn.Module, str]) -> Branch:
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
    )


def _is_norm_part(key: str, part: Any) -> bool:
    return key.startswith(("norm", "ln_")) or (isinstance(part, nn.Module) and is_norm(part))


def _packed_projection(module: nn.Module) -> tuple[Tensor, Tensor] | None:
    """The (3 width, width) input and (width, width) output projection of an attention; None for any other module."""
    first: Tensor | None
    if isinstance(module, nn.MultiheadAttention):
        first, last = module.in_proj_weight, module.out_proj.weight
    else:
        qkv, proj = getattr(module, "qkv", None), getattr(module, "proj", None)
        if not (isinstance(qkv, nn.Linear) and isinstance(proj, nn.Linear) and hasattr(module, "num_heads")):
            return None
        # timm's TinyViT (which has a key_dim) and some MaxViTs stack query, key and value within each head.
        if getattr(module, "head_first", False) or hasattr(module, "key_dim"):
            return None
        first, last = qkv.weight, proj.weight
    if first is None or first.shape != (3 * len(last), len(last)) or last.shape[0] != last.shape[1]:
        return None  # separate projections, or different widths
    return first.detach(), last.detach()


def listed_branches(model: nn.Module) -> list[Branch]:
    """The residual branches of blocks whose parts have known names, in registration order."""
    return [
        _listed(name, block, parts)
        for name, block in model.named_modules()
        if (family := next((family for family in FAMILIES if family.fits(block)), None))
        for parts in family.parts(block)
    ]


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
        kind=_kind([part for _, part in steps]),
        gate=next((factor for key, factor in factors.items() if key.startswith(GATES)), None),
        skip_scale=next((factor for key, factor in factors.items() if key.startswith(SKIP_SCALES)), None),
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


def _kind(parts: list[nn.Module]) -> str:
    modules = [module for part in parts for module in part.modules()]
    if any(isinstance(module, nn.MultiheadAttention) or hasattr(module, "num_heads") for module in modules):
        return "attention"
    return "conv" if any(isinstance(module, _ConvNd) for module in modules) else "mlp"
