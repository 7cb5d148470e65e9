"""The parts of a model that methods work on: residual branches, attentions, gates, recurrent cells.

Your own model takes part by the names of its attributes, without importing anything:

- A residual block has `branch`, the module whose output is added to the skip connection, and optionally the parameters
  `gate` (multiplies the branch) and `skip_scale` (multiplies the skip connection).
- An attention has `qkv` (a Linear with query, key and value stacked), `proj` (a Linear) and `num_heads`; or it is an
  nn.MultiheadAttention.

The blocks of torch, torchvision and timm are recognized by their own names (families.py).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.families import FAMILIES, GATES, SIDE_PATHS, SKIP_SCALES
from initbench.init.roles import is_norm

_WEIGHTED = (nn.Linear, _ConvNd, nn.MultiheadAttention)


@dataclass(frozen=True)
class Branch:
    """One residual branch: `skip_scale * x + gate * branch(x)`; a block with attention and MLP has two."""

    name: str  # qualified name, "stage1.0.branch" or "blocks.0.attn"; the name of the block if it has several parts
    block: nn.Module
    # The leaf modules that have parameters or normalize, with qualified names, in execution order. An
    # nn.MultiheadAttention counts as one leaf; squeeze-and-excitation and similar multipliers are left out.
    modules: tuple[tuple[str, nn.Module], ...]
    kind: str  # "attention", "mlp" or "conv"
    gate: nn.Parameter | None
    skip_scale: nn.Parameter | None

    @property
    def weighted(self) -> list[tuple[str, nn.Module]]:
        """The linear layers, convolutions and nn.MultiheadAttentions; empty if the branch only pools or shifts."""
        return [(name, module) for name, module in self.modules if isinstance(module, _WEIGHTED)]

    @property
    def norms(self) -> list[tuple[str, nn.Module]]:
        """The normalization layers, in execution order."""
        return [(name, module) for name, module in self.modules if is_norm(module)]

    @property
    def last_norm(self) -> tuple[str, nn.Module] | None:
        """The norm at the end of the branch; None if it ends with a weighted layer, as in pre-norm transformers."""
        ends = [item for item in self.modules if is_norm(item[1]) or isinstance(item[1], _WEIGHTED)][-1:]
        return ends[0] if ends and is_norm(ends[0][1]) else None


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


def find_branches(model: nn.Module) -> list[Branch]:
    """All residual branches in registration order; blocks without a skip connection have none."""
    return [
        _branch(name, block, parts)
        for name, block in model.named_modules()
        if (family := next((family for family in FAMILIES if family.fits(block)), None))
        for parts in family.parts(block)
    ]


def find_attentions(model: nn.Module) -> list[Attention]:
    """All self-attentions with stacked query, key and value projections of full width, in registration order."""
    crossed = {id(m.multihead_attn) for m in model.modules() if isinstance(m, nn.TransformerDecoderLayer)}
    attentions = []
    for name, module in model.named_modules():
        packed = None if id(module) in crossed else _packed_projection(module)
        if packed is not None:
            weight, output = packed
            query, key, value = weight.chunk(3)
            attentions.append(Attention(name, module, len(query), int(module.num_heads), query, key, value, output))
    return attentions


def find_gates(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The parameters that multiply residual branches (gates and layer scales), with their qualified names."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [(names[id(branch.gate)], branch.gate) for branch in find_branches(model) if branch.gate is not None]


def find_recurrents(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All torch.nn recurrent networks and cells, with their qualified names."""
    return [(n, m) for n, m in model.named_modules() if isinstance(m, nn.RNNBase | nn.RNNCellBase)]


# What a method may ask for by the name of an argument. A model without any is refused.
FINDERS: dict[str, Callable[[nn.Module], list[Any]]] = {
    "branches": find_branches,
    "attentions": find_attentions,
    "gates": find_gates,
    "recurrents": find_recurrents,
}


def require(model: nn.Module, what: str, label: str) -> list[Any]:
    """What `FINDERS[what]` finds. Raises ValueError, naming what is missing, if it finds nothing."""
    found = FINDERS[what](model)
    if not found:
        raise ValueError(f"{label} needs {_MEANING[what]}, and {type(model).__name__} has none")
    return found


_MEANING = {
    "branches": "residual branches (blocks with a module `branch` that is added to a skip connection)",
    "attentions": "self-attention layers",
    "gates": "gates: learnable multipliers of residual branches (`gate`, SkipInit's gain, a layer scale)",
    "recurrents": "recurrent layers (RNN, LSTM, GRU)",
}


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


def _branch(name: str, block: nn.Module, parts: list[str]) -> Branch:
    present = {key: getattr(block, key) for key in parts if getattr(block, key, None) is not None}
    factors = {key: _factor(part) for key, part in present.items() if key.startswith(GATES + SKIP_SCALES)}
    steps = [(key, part) for key, part in present.items() if key not in factors]
    named = [key for key, _ in steps if not key.startswith(("norm", "ln_"))]
    prefix = f"{name}." if name else ""
    return Branch(
        name=prefix + named[0] if len(named) == 1 else name,
        block=block,
        modules=tuple(leaf for key, part in steps for leaf in _leaves(prefix + key, part)),
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
    if isinstance(module, _WEIGHTED) or is_norm(module) or not list(module.children()):
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
