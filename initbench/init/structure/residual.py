"""Residual additions in a trace: sums x + f(x), in which one term was computed from the other."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.roles import is_norm
from initbench.init.structure.gated import gated_layers
from initbench.init.structure.projection import Projection
from initbench.init.structure.source import SOFTMAX, is_product
from initbench.init.structure.trace import Trace, shared_calls

WEIGHTED = (nn.Linear, _ConvNd, nn.MultiheadAttention)


@dataclass(frozen=True)
class Residual:
    """One branch f of a sum x + f(x)."""

    block: nn.Module  # the innermost module in which both the sum and the whole branch are computed
    parts: list[nn.Module]  # the modules that the block calls in the branch
    modules: list[nn.Module]  # the leaf modules of the branch that have parameters or normalize
    weighted: list[nn.Module]  # the linear layers, convolutions and attentions among them
    ends: list[nn.Module]  # those after which no other layer, norm or matrix follows; several if they are parallel
    last_layers: list[nn.Module]  # the weighted layers after which no other follows
    gate: nn.Parameter | None
    skip_scale: nn.Parameter | None
    is_attention: bool  # whether values are weighted by a softmax
    multiplier: Tensor | None  # a constant by which the branch is multiplied: a buffer with one number
    gated: tuple[Projection, Projection] | None  # gate and up of a gated MLP
    ends_outside_layers: bool  # whether the last layers are followed by a product with a matrix of no layer
    fork: int  # the step of x
    sum: int  # the step of x + f(x)
    runs: int = 1  # how often it is added to the same features, as in ALBERT, whose layers are one


def residuals(trace: Trace) -> list[Residual]:
    """The branches of all residual additions, in execution order.

    On its way to the sum, x may be multiplied by constants or parameters, padded, pooled or normalized, and it may pass
    one linear layer or convolution, as in ResNets. x + (f(x) + g(x)) has two branches, like x + f(x) + g(x).
    """
    search = _Search(trace)
    found = list(search.run())
    return [replace(residual, runs=search.runs[residual.block, tuple(residual.modules)]) for residual in found]


@dataclass(frozen=True)
class _Skip:
    """One way to read a sum as residual addition."""

    fork: int  # the step of x
    skip: int  # the step that ends the skip connection, one term of the sum
    branch: int  # the step that ends the branch, the other term
    is_projected: bool = False  # whether x passes a layer on the skip connection


class _Search:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.steps = trace.steps
        self.matrices: set[Tensor | None] = {*trace.matrices}
        self.skips: dict[int, _Skip] = {}  # by the index of the sum
        self.runs: Counter[tuple[nn.Module, tuple[nn.Module, ...]]] = Counter()  # by block and modules

    def run(self) -> Iterator[Residual]:
        last: dict[tuple[nn.Module, tuple[nn.Module, ...]], int] = {}
        for index, step in enumerate(self.steps):
            if step.kind != "sum" or len(step.inputs) != 2:
                continue
            for skip in self._candidates(*step.inputs):
                found = list(self._branches(index, skip))
                if found:
                    self.skips[index] = skip
                    for residual in found:
                        key = (residual.block, tuple(residual.modules))
                        before, last[key] = last.get(key), residual.sum
                        if before is None or self.steps[residual.fork].ancestors >> before & 1:
                            self.runs[key] += 1  # not if the model reads two inputs with the same layers
                        if before is None:  # a block that is called twice is listed once
                            yield residual
                    break

    def _candidates(self, one: int, two: int) -> Iterator[_Skip]:
        """Ways to read a sum as residual, the most literal one first."""
        first, second = self.steps[one], self.steps[two]
        pairs = (one, first, two, second), (two, second, one, first)
        for skip, _, branch, after in pairs:
            if after.ancestors >> skip & 1:
                yield _Skip(skip, skip, branch)
                return
        for reach in (
            lambda a, b: a.carried & b.ancestors,
            lambda a, b: a.cut & b.whole,
            lambda a, b: a.normalized & b.whole,
        ):
            for skip, before, branch, after in pairs:
                if common := reach(before, after):
                    yield _Skip(common.bit_length() - 1, skip, branch)
        if common := first.whole & second.ancestors | first.ancestors & second.whole:
            fork = common.bit_length() - 1
            for skip, _, branch, _ in pairs:
                way = self._between(fork, skip)
                layers = len(self._weighted(way))
                if self._is_projection(way) and layers < len(self._weighted(self._between(fork, branch))):
                    yield _Skip(fork, skip, branch, is_projected=True)

    def _is_projection(self, way: list[int]) -> bool:
        """Whether a way has at most one layer, and only norms or pooling after it; an activation may precede it."""
        if len(self._weighted(way)) > 1:
            return False
        kinds = [self.steps[index].kind for index in way]
        first = kinds.index("layer") if "layer" in kinds else 0
        before = all(len(self.steps[index].inputs) == 1 for index in way[:first])
        return before and set(kinds[first:]) <= {"carry", "part", "layer", "norm"}

    def _branches(self, total: int, skip: _Skip) -> Iterator[Residual]:
        terms = sorted(self._terms(skip.branch))  # by the steps that end them: in execution order
        layers = [term for term in terms if self._weighted(self._between(skip.fork, term[0]))]
        terms = layers if layers and len(terms) > 1 else [(skip.branch, [])]
        for end, before in terms:
            if self.steps[end].ancestors >> skip.fork & 1:
                residual = self._branch(total, skip, end, before)
                if residual is not None:
                    yield residual

    def _terms(self, branch: int, before: tuple[int, ...] = ()) -> Iterator[tuple[int, list[int]]]:
        """The parallel terms that a branch is a sum of, each with the steps between it and the residual addition."""
        index, way = branch, list(before)
        while self.steps[index].kind == "carry":
            way.append(index)
            index = self.steps[index].inputs[0]
        if self.steps[index].kind == "sum" and index not in self.skips and len(self.steps[index].inputs) == 2:
            for term in self.steps[index].inputs:
                yield from self._terms(term, tuple(way))
        else:
            yield branch, list(before)

    def _branch(self, total: int, skip: _Skip, end: int, before: list[int]) -> Residual | None:
        way = self._between(skip.fork, end)
        factors = [*before, *self._chain(end)]
        gate_step = self._multiplied(factors, trainable=True)
        constant_step = self._multiplied(factors, trainable=False)
        inner = [index for index in way if index not in (gate_step, constant_step)]
        calls = self.trace.steps[total].calls
        if skip.is_projected:
            inner = [*self._preactivation(skip.fork, calls), *inner]
        for index in inner:
            if self.steps[index].modules:
                calls = shared_calls(calls, self.steps[index].calls)
        block = self.trace.calls[calls[-1]]
        own = set(block.modules())  # a module outside may compute something for all blocks, such as relative positions
        modules = [module for module in self._modules(inner) if module in own]
        weighted = [module for module in modules if self._is_weighted(module)]
        last_layers, reaches_fork, ends_outside_layers = self._last(end, skip.fork, self._is_weighted)
        if not modules and not ends_outside_layers:
            return None  # nothing that learns
        if weighted and reaches_fork:
            if not ends_outside_layers:
                return None  # a path around the layers: with the last ones at zero, more than x would be left
            last_layers = set()  # a layer beside experts, such as the one that chooses among them, is not the end
        if not weighted and self._is_normalized(skip):
            return None
        ends, _, is_outside = self._last(end, skip.fork, lambda module: self._is_weighted(module) or is_norm(module))
        if is_outside:
            ends = set()
        applied = [self.steps[index] for index in inner]
        return Residual(
            block=block,
            parts=list(dict.fromkeys(part for index in inner if (part := self._part(index, len(calls))) is not None)),
            modules=modules,
            weighted=weighted,
            ends=[module for module in modules if module in ends],
            last_layers=[module for module in modules if module in last_layers],
            gate=None if gate_step is None else self.steps[gate_step].multiplier,  # type: ignore[arg-type]  # a parameter
            multiplier=None if constant_step is None else self.steps[constant_step].multiplier,
            skip_scale=self._skip_scale(skip),
            is_attention=(any(s.operator in SOFTMAX for s in applied) and any(map(is_product, applied)))
            or any(s.operator.startswith("_scaled_dot_product") for s in applied)
            or any(isinstance(module, nn.MultiheadAttention) for module in modules),
            gated=gated_layers(self.trace, inner),
            ends_outside_layers=ends_outside_layers,
            fork=skip.fork,
            sum=total,
        )

    def _between(self, fork: int, end: int) -> list[int]:
        """The steps from `fork` (excluded) to `end` (included): they depend on `fork`, and `end` on them."""
        needed = self.steps[end].ancestors
        return [i for i in range(fork + 1, end + 1) if needed >> i & 1 and self.steps[i].ancestors >> fork & 1]

    def _modules(self, way: list[int]) -> list[nn.Module]:
        modules = {module for index in way for module in self.steps[index].modules}
        return sorted(modules, key=self.trace.order.__getitem__)

    def _weighted(self, way: list[int]) -> list[nn.Module]:
        return [module for module in self._modules(way) if self._is_weighted(module)]

    def _is_weighted(self, module: nn.Module) -> bool:
        """Whether a module is a layer of torch, or one of others that multiplies by a `weight`, as GPT-2's Conv1D."""
        if isinstance(module, WEIGHTED):
            return True
        return module._parameters.get("weight") in self.matrices and not isinstance(module, nn.Embedding)

    def _chain(self, index: int) -> Iterator[int]:
        while self.steps[index].kind == "carry":
            yield index
            index = self.steps[index].inputs[0]

    def _multiplied(self, chain: list[int], *, trainable: bool) -> int | None:
        """The multiplication by a parameter, or by a constant, that is closest to the sum."""
        factors = ((index, self.steps[index].multiplier) for index in chain)
        return next((i for i, f in factors if f is not None and isinstance(f, nn.Parameter) is trainable), None)

    def _skip_scale(self, skip: _Skip) -> nn.Parameter | None:
        for index in reversed(self._between(skip.fork, skip.skip)):
            step = self.steps[index]
            if (
                isinstance(step.multiplier, nn.Parameter)
                and step.carried >> skip.fork & 1
                and self.steps[skip.skip].carried >> index & 1
            ):
                return step.multiplier
        return None

    def _is_normalized(self, skip: _Skip) -> bool:
        return not self.steps[skip.skip].cut >> skip.fork & 1

    def _preactivation(self, fork: int, calls: tuple[int, ...]) -> list[int]:
        """The norm and activation between the input of a block and the fork within it, as in pre-activation ResNets."""
        way: list[int] = []
        while self.steps[fork].calls[: len(calls)] == calls:
            step = self.steps[fork]
            if len(step.inputs) != 1 or step.kind not in ("norm", "carry", "other") or self._weighted([fork]):
                return []
            way.insert(0, fork)
            fork = step.inputs[0]
        return way

    def _last(self, end: int, fork: int, stops: Callable[[nn.Module], bool]) -> tuple[set[nn.Module], bool, bool]:
        """The first modules on each path back from `end`; and whether a path without one reaches the fork.

        The third result says whether a path has a product with a matrix of no layer before such a module.
        """
        found: set[nn.Module] = set()
        reaches_fork = ends_outside_layers = False
        waiting = [end]
        seen: set[int] = set()
        while waiting:
            index = waiting.pop()
            if index == fork:
                reaches_fork = True
            step = self.steps[index]
            if index in seen or index == fork or not step.ancestors >> fork & 1:
                continue
            seen.add(index)
            # A sum with what a layer makes of constants is not the layer.
            if step.kind != "carry" and (here := [module for module in step.modules if stops(module)]):
                found.update(here)
                continue
            ends_outside_layers |= index in self.trace.outside_layers
            inner = self.skips.get(index)
            if inner is not None and self.steps[inner.branch].ancestors >> fork & 1:
                waiting.append(inner.branch)  # its skip connection has ends of its own
            else:
                waiting += step.inputs
        return found, reaches_fork, ends_outside_layers

    def _part(self, index: int, depth: int) -> nn.Module | None:
        step = self.steps[index]
        if len(step.calls) > depth:
            return self.trace.calls[step.calls[depth]]
        return step.modules[0] if step.modules else None
