"""The parts of a model that methods work on: residual branches, attentions, gates, recurrent cells.

They are found by running the model once (recorder.py): branches and their multipliers in residual.py, attentions with
their queries, keys and values in attention.py, gated MLPs in gated.py.

If a model cannot be run, they are found by the names of its attributes: a residual block has `branch`, the module whose
output is added to the skip connection, and optionally the parameters `gate` (multiplies the branch) and `skip_scale`
(multiplies the skip connection). An attention has `num_heads` and the linear layers `query`, `key`, `value` and `proj`,
or `qkv` instead of the first three. The blocks of torch, torchvision and timm and the attentions of transformers have
names of their own (families.py).
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Any

from torch import Tensor, nn

from initbench.init.memory import storage_of
from initbench.init.roles import MATRICES, NamedParameter, unwrap, walk
from initbench.init.structure.attention import Attention, listed_attentions
from initbench.init.structure.blocks import BranchMatrix, branch_matrices
from initbench.init.structure.branch import Branch, listed_branches, traced_branches
from initbench.init.structure.example import examples, like
from initbench.init.structure.recorder import record
from initbench.init.structure.residual import WEIGHTED
from initbench.init.structure.trace import Trace


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
    def _traced(self) -> tuple[list[Branch], list[Attention]] | None:
        return None if self.trace is None else traced_branches(self.trace)

    @property
    def branches(self) -> list[Branch]:
        """All residual branches in execution order.

        Raises ValueError if the model cannot be run, has no block with known names, and does not consist of torch's own
        layers alone.
        """
        if self._traced is not None:
            return self._traced[0]
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
        """All attentions in execution order; in registration order if the model cannot be run."""
        return [*listed_attentions(self.model)] if self._traced is None else self._traced[1]

    @property
    def branch_matrices(self) -> list[BranchMatrix]:
        """The weight matrices of the residual branches, and what each is for.

        Raises ValueError as `branches` does, and for a matrix that belongs to no layer, as in mixtures of experts or an
        nn.Parameter of a block.
        """
        outside = () if self.trace is None else self.trace.outside_layers.values()
        ends_outside = any(branch.ends_outside_layers for branch in self.branches)
        unknown = {id(matrix) for matrix in outside if matrix.dim() > 2 or ends_outside}
        names = [name for name, parameter in self.model.named_parameters() if id(parameter) in unknown]
        inside = {module for branch in self.branches for module in branch.block.modules()}
        names += [found.name for found in self.loose if found.module in inside and not _is_position(found)]
        if names:
            raise ValueError(f"{names[0]} is multiplied outside of a layer, so it cannot be told what it is for")
        return branch_matrices(self.branches)

    @property
    def loose(self) -> list[NamedParameter]:
        """What features are multiplied by, or tokens look up, and what belongs to no layer and no embedding."""
        used = set() if self.trace is None else {*map(storage_of, (*self.trace.matrices, *self.trace.tables))}
        everything = list(walk(self.model))
        layers = {found.module for found in everything if found.role in (*MATRICES, "embedding")}
        others = (found for found in everything if found.role == "other" and found.module not in layers)
        return [found for found in others if not used.isdisjoint(_memory(found))]

    @property
    def positions(self) -> list[NamedParameter]:
        """The learned position embeddings.

        Those that look up numbers which do not depend on the inputs, and those whose name says so (`pos_embed`, `wpe`).
        """
        embeddings = {} if self.trace is None else self.trace.embeddings
        return [found for found in walk(self.model) if embeddings.get(found.module) or _is_position(found)]

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

        A head that shares the weight of an embedding counts. In registration order if the model cannot be run.
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
    "branch_matrices": "residual branches (f in a sum x + f(x))",
    "attentions": "self-attention layers",
    "gates": "gates: learnable multipliers of residual branches (`gate`, SkipInit's gain, a layer scale)",
    "recurrents": "recurrent layers (RNN, LSTM, GRU)",
}
NEEDED = tuple(_MEANING)
PARTS = (*NEEDED, "branches_if_any", "gates_if_any", "matrices", "loose", "parameters", "positions")


def find_branches(model: nn.Module, inputs: Tensor | None = None) -> list[Branch]:
    """All residual branches in execution order; blocks without a skip connection have none."""
    return Parts(model, inputs).branches


def find_attentions(model: nn.Module, inputs: Tensor | None = None) -> list[Attention]:
    """All attentions in execution order."""
    return Parts(model, inputs).attentions


def find_gates(model: nn.Module, inputs: Tensor | None = None) -> list[tuple[str, nn.Parameter]]:
    """The parameters that multiply residual branches (gates and layer scales), with their qualified names."""
    return Parts(model, inputs).gates


def find_recurrents(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """All torch.nn recurrent networks and cells, with their qualified names."""
    return Parts(model).recurrents


def _is_position(found: NamedParameter) -> bool:
    name = found.name.rpartition(".")[0 if found.role == "embedding" else 2]
    own = name.rpartition(".")[2]
    is_bare = found.role == "other" and found.tensor.dim() >= 2
    return (is_bare or found.role == "embedding") and (
        own.startswith(("pos", "rel_")) or "position" in own or own == "wpe"
    )


def _memory(found: NamedParameter) -> list[object]:
    """The memory of a parameter; of the tensors that it is computed from if it is parametrized."""
    if not found.parametrized:
        return [storage_of(found.tensor)]
    originals: Any = found.module.parametrizations[found.key]  # type: ignore[index]  # a ModuleDict
    return [storage_of(parameter) for parameter in originals.parameters(recurse=False)]


def _is_plain(model: nn.Module) -> bool:
    """Whether a model consists of torch's own layers and containers alone, which have no skip connections."""
    return all(
        (
            type(module).__module__.startswith(("torch.nn.modules", "torch.nn.utils.parametrize"))
            and (isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict) or not [*module.children()])
        )
        or isinstance(module, WEIGHTED)
        for module in model.modules()
    )
