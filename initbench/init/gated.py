"""Gated layers in a trace: down(activation(gate(x)) * up(x)) (Shazeer 2020)."""

from collections.abc import Iterable

from initbench.init.projection import Projection
from initbench.init.source import projection_of, source_of
from initbench.init.trace import Trace


def gated_layers(trace: Trace, way: Iterable[int]) -> tuple[Projection, Projection] | None:
    """The projections `gate` and `up` of a product among the steps of a branch; None if no step is one.

    The gate passes through an activation, and `up` does not. Both may be halves of one layer.
    """
    for index in way:
        step = trace.steps[index]
        if step.operator == "glu" and (known := trace.features.get(step.inputs[0])) is not None:
            layer, numbers = known
            up, gate = (half.flatten().unique().tolist() for half in numbers.chunk(2, dim=-1))
            return projection_of(trace, layer, gate), projection_of(trace, layer, up)
        if step.operator == "mul" and len(step.inputs) == 2:
            activated = [_is_activated(trace, each) for each in step.inputs]
            if sum(activated) == 1:
                gate_side, up_side = step.inputs if activated[0] else step.inputs[::-1]
                sources = source_of(trace, gate_side), source_of(trace, up_side)
                if sources[0] is not None and sources[1] is not None:
                    return sources[0].projection, sources[1].projection
    return None


def _is_activated(trace: Trace, index: int) -> bool:
    """Whether an operator other than a view was applied since the last layer."""
    while trace.steps[index].kind in ("carry", "part"):
        index = trace.steps[index].inputs[0]
    return trace.steps[index].kind == "other"
