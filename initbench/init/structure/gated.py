"""Gated layers in a trace: down(activation(gate(x)) * up(x)) (Shazeer 2020)."""

from collections.abc import Collection, Iterable

from initbench.init.structure.features import axes_of
from initbench.init.structure.projection import Projection
from initbench.init.structure.source import origin_of, projection_of, source_of
from initbench.init.structure.trace import Trace

_VIEWS = ("carry", "part")


def gated_layers(trace: Trace, way: Iterable[int]) -> tuple[Projection, Projection] | None:
    """The projections `gate` and `up` of a gated MLP, from the steps of a branch; None if it has no such product.

    Both read the same features. The gate passes through an activation, and `up` does not. They may be the two halves
    of one layer.
    """
    for index in way:
        step = trace.steps[index]
        if step.operator == "glu" and (known := trace.features.get(step.inputs[0])) is not None:
            layer, numbers = known
            up, gate = (half.flatten().unique().tolist() for half in numbers.chunk(2, dim=axes_of(numbers)[-1]))
            return projection_of(trace, layer, gate), projection_of(trace, layer, up)
        if step.operator == "mul" and len(step.inputs) == 2:
            for gate_side, up_side in (step.inputs, step.inputs[::-1]):
                if _is_gated(trace, gate_side, up_side):
                    sources = source_of(trace, gate_side), source_of(trace, up_side)
                    if sources[0] is not None and sources[1] is not None:
                        return sources[0].projection, sources[1].projection
    return None


def _is_gated(trace: Trace, gate_side: int, up_side: int) -> bool:
    gate, up = _layer(trace, gate_side, (*_VIEWS, "other")), _layer(trace, up_side, _VIEWS)
    if gate is None or up is None or _layer(trace, gate_side, _VIEWS) is not None:
        return False
    return origin_of(trace, gate) == origin_of(trace, up)


def _layer(trace: Trace, index: int, kinds: Collection[str]) -> int | None:
    """The layer whose output reaches a step through steps of these kinds with one input; None if there is none."""
    while trace.steps[index].kind in kinds and len(trace.steps[index].inputs) == 1:
        index = trace.steps[index].inputs[0]
    return index if trace.steps[index].kind == "layer" else None
