"""Which layer in a trace makes the features that a step uses."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from initbench.init.structure.features import heads
from initbench.init.structure.projection import Projection
from initbench.init.structure.trace import Step, Trace

SOFTMAX = ("_softmax", "_safe_softmax")
_PRODUCTS = ("bmm", "baddbmm", "mm", "addmm")


class Source(NamedTuple):
    """The projection that made a tensor."""

    projection: Projection
    heads: int  # the number of heads that its features are divided into
    step: int  # that of the layer


def source_of(trace: Trace, operand: int) -> Source | None:
    """The layer that made most features of an operand, even if they were normalized, rotated or scaled since."""
    of_layers: dict[int, list[Tensor]] = {}
    seen, waiting = set(), [operand]
    while waiting:
        index = waiting.pop()
        if index in seen:
            continue
        seen.add(index)
        if index in trace.features:
            layer, numbers = trace.features[index]
            if numbers.numel():  # a slice may be empty, as where all of a head is rotated
                of_layers.setdefault(layer, []).append(numbers)
        elif not is_product(trace.steps[index]) and index not in trace.outside_layers:
            waiting += trace.steps[index].inputs
    found = []
    for layer, parts in of_layers.items():
        each = [heads(numbers) for numbers in parts]
        rows = each[0][0] if len(each) == 1 else sorted({row for some, _ in each for row in some})
        found.append(Source(projection_of(trace, layer, rows), len(each[0][0]) // each[0][1], layer))
    return max(found, key=lambda source: source.projection.shape[0], default=None)


def projection_of(trace: Trace, layer: int, rows: Sequence[int] | None = None) -> Projection:
    """The rows of a layer's weight, all if `rows` is None."""
    module = trace.steps[layer].modules[0]
    name = trace.names[module]
    whole = Projection(f"{name}.weight" if name else "weight", module)
    return whole if rows is None or [*rows] == [*range(whole.shape[0])] else replace(whole, rows=(*rows,))


def origin_of(trace: Trace, layer: int) -> int:
    """The step whose features a layer reads."""
    index = trace.steps[layer].inputs[0]
    while trace.steps[index].kind == "carry":
        index = trace.steps[index].inputs[0]
    return index


def is_product(step: Step) -> bool:
    """Whether a step multiplies two matrices that were both computed from the inputs of the model."""
    return step.operator in _PRODUCTS and len(step.inputs) > 1
