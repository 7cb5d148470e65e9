"""A trace: the operations of one forward pass, and which of them use the results of which (see recorder.py).

A step is one operation on tensors that were computed from the model's inputs or from its learned tokens. A linear
layer, convolution, attention, recurrent network, embedding or norm is one step, whatever it computes inside.

Sets of steps are integers: bit i stands for step i.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from torch import Tensor, nn


@dataclass(frozen=True)
class Step:
    """One operation of a forward pass."""

    # input; sum; carry: the values of its input, perhaps scaled, moved, pooled or padded; part: some of these values;
    # layer: linear or a convolution; norm; other
    kind: str
    inputs: tuple[int, ...]  # the steps whose results it uses; for x * g(x) only x
    calls: tuple[int, ...]  # the calls of modules in which it happens, outermost first: indices in Trace.calls
    modules: tuple[nn.Module, ...]  # the leaf modules that it applies
    operator: str
    multiplier: Tensor | None  # the whole parameter, or the buffer with one number, by which it multiplies
    # Each of these sets of steps contains the step itself.
    ancestors: int  # every step that its result depends on
    viewed: int  # the steps whose result it carries
    carried: int  # the steps that its result is a sum of, perhaps carried
    cut: int  # the same, or a sum of parts of their results
    normalized: int  # the same as `cut`, or a sum of normalized results
    whole: int  # the ancestors of which more than a part is used


@dataclass
class Trace:
    """The steps of a forward pass in the order of execution. Modules and parameters are the model's, not a copy's."""

    names: dict[nn.Module, str]
    steps: list[Step] = field(default_factory=list)
    calls: list[nn.Module] = field(default_factory=list)  # the modules that were called, once for each call
    order: dict[nn.Module, int] = field(default_factory=dict)  # when each leaf module ran first
    parameters: dict[Tensor, None] = field(default_factory=dict)  # those that are used, by their first use
    matrices: list[Tensor] = field(default_factory=list)  # the weights of matrix products, once for each use
    # By the step of a matrix product: its parameter, if that is not the weight of a layer.
    outside_layers: dict[int, Tensor] = field(default_factory=dict)
    tables: list[Tensor] = field(default_factory=list)  # the parameters in which something looks up rows by the inputs
    embeddings: dict[nn.Module, bool] = field(default_factory=dict)  # whether each embeds positions
    # For steps whose values are features of one layer: the layer's step and, for each value, the feature's index.
    features: dict[int, tuple[int, Tensor]] = field(default_factory=dict)

    def add(
        self,
        kind: str,
        inputs: Iterable[int],
        calls: tuple[int, ...],
        *,
        constants: Iterable[int] = (),  # steps that it depends on and that do not depend on the inputs of the model
        modules: tuple[nn.Module, ...] = (),
        operator: str = "",
        multiplier: Tensor | None = None,
    ) -> int:
        """Append a step; return its index."""
        inputs = tuple(dict.fromkeys(inputs))
        itself = 1 << len(self.steps)
        before = [self.steps[index] for index in inputs]
        needed = [*before, *(self.steps[index] for index in constants)]
        viewed = _union((step.viewed for step in before), itself) if kind == "carry" else itself
        whole = _union((step.whole & ~step.viewed for step in needed), viewed)
        if kind not in ("carry", "part"):
            whole = _union((step.viewed for step in needed), whole)
        carries = before if kind in ("carry", "sum") else []
        step = Step(
            kind,
            inputs,
            calls,
            modules,
            operator,
            multiplier,
            ancestors=_union((step.ancestors for step in needed), itself),
            viewed=viewed,
            carried=_union((step.carried for step in carries), itself),
            cut=_union((step.cut for step in (before if kind == "part" else carries)), itself),
            normalized=_union((s.normalized for s in (before if kind in ("part", "norm") else carries)), itself),
            whole=whole,
        )
        self.steps.append(step)
        return len(self.steps) - 1

    def ran(self, *modules: nn.Module) -> None:
        """Note that leaf modules ran."""
        for module in modules:
            self.order.setdefault(module, len(self.order))


def shared_calls(one: tuple[int, ...], two: tuple[int, ...]) -> tuple[int, ...]:
    """The calls of modules in which both of two steps happen, outermost first."""
    return tuple(a for a, b in zip(one, two, strict=False) if a == b)


def _union(sets: Iterable[int], start: int) -> int:
    return reduce(or_, sets, start)
