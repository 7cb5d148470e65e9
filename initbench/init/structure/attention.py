"""Attentions in a trace: a softmax of the products of queries and keys, by which values are weighted."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from torch import nn

from initbench.init.structure.families import ATTENTIONS, HEADS
from initbench.init.structure.projection import Projection
from initbench.init.structure.source import SOFTMAX, is_product, origin_of, projection_of, source_of
from initbench.init.structure.trace import Step, Trace, shared_calls


@dataclass(frozen=True)
class Attention:
    """One attention, and the weights that make its queries, keys, values and output.

    Each projection has the shape (features out, features in); features are ordered head by head.
    """

    name: str
    module: nn.Module  # the innermost one in which all of it is computed
    query: Projection
    key: Projection
    value: Projection
    output: Projection | None  # None if no layer of the attention mixes the heads
    num_heads: int
    kv_heads: int  # each head of keys and values serves num_heads / kv_heads queries (Ainslie et al. 2023)
    is_self_attention: bool  # whether queries, keys and values are made from the same features

    @property
    def width(self) -> int:
        """The number of features that queries are made from."""
        return self.query.shape[1]

    @property
    def projections(self) -> list[Projection]:
        """Query, key, value and, if there is one, output."""
        return [self.query, self.key, self.value, *([] if self.output is None else [self.output])]

    @property
    def is_square(self) -> bool:
        """Whether it is a self-attention with four matrices of shape (width, width)."""
        return self.is_self_attention and [each.shape for each in self.projections] == [(self.width,) * 2] * 4


def traced_attentions(trace: Trace, residual_sums: Collection[int]) -> Iterator[tuple[int, Attention]]:
    """The attentions of a trace in execution order, each after the step that makes its keys.

    `residual_sums` are the steps of residual additions: what follows them is not part of an attention.
    """
    reader, seen = _Reader(trace, residual_sums), set()
    for index, step in enumerate(trace.steps):
        keys, found = reader.read(index, step)
        if found is not None:
            weights = (found.query, found.key, found.value)
            if weights not in seen:  # a block that is called twice
                seen.add(weights)
                yield keys, found


def multihead_attention(name: str, module: nn.MultiheadAttention, *, is_self_attention: bool) -> Attention:
    """The parts of an nn.MultiheadAttention."""
    width, prefix = module.embed_dim, f"{name}." if name else ""
    if module.in_proj_weight is not None:
        parts = [(*range(start, start + width),) for start in (0, width, 2 * width)]
        query, key, value = (Projection(f"{prefix}in_proj_weight", module, "in_proj_weight", rows) for rows in parts)
    else:
        keys = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        query, key, value = (Projection(prefix + each, module, each) for each in keys)
    output = Projection(f"{prefix}out_proj.weight", module.out_proj)
    return Attention(name, module, query, key, value, output, module.num_heads, module.num_heads, is_self_attention)


def listed_attentions(model: nn.Module, prefix: str = "") -> Iterator[Attention]:
    """The self-attentions of a model whose parts have known names (families.py), in registration order."""
    crossed = {id(m.multihead_attn) for m in model.modules() if isinstance(m, nn.TransformerDecoderLayer)}
    for name, module in model.named_modules(prefix=prefix):
        if isinstance(module, nn.MultiheadAttention):
            if id(module) not in crossed:
                yield multihead_attention(name, module, is_self_attention=True)
        elif (found := _listed(name, module)) is not None:
            yield found


def _listed(name: str, module: nn.Module) -> Attention | None:
    num_heads = next((count for key in HEADS if isinstance(count := getattr(module, key, None), int)), None)
    for keys in map(str.split, ATTENTIONS):
        layers = [layer for key in keys if isinstance(layer := getattr(module, key, None), nn.Linear)]
        if num_heads is None or len(layers) < len(keys):
            continue
        names = [f"{name}.{key}.weight" if name else f"{key}.weight" for key in keys]
        projections = [Projection(*pair) for pair in zip(names, layers, strict=True)]
        if len(projections) == 2:
            # timm's TinyViT (which has a key_dim) and some MaxViTs stack query, key and value within each head.
            stacked, width = projections[0], projections[1].shape[1]
            if stacked.shape[0] != 3 * width or getattr(module, "head_first", False) or hasattr(module, "key_dim"):
                return None
            starts = (0, width, 2 * width)
            projections[:1] = [replace(stacked, rows=(*range(start, start + width),)) for start in starts]
        query, key, value, output = projections
        kv_heads = key.shape[0] * num_heads // query.shape[0]
        return Attention(name, module, query, key, value, output, num_heads, kv_heads, is_self_attention=True)
    return None


class _Reader:
    def __init__(self, trace: Trace, residual_sums: Collection[int]) -> None:
        self.trace, self.steps, self.residual_sums = trace, trace.steps, residual_sums

    def read(self, index: int, step: Step) -> tuple[int, Attention | None]:
        """The step that makes the keys, and the attention whose values this one weights; None if it weights none."""
        if step.modules and isinstance(module := step.modules[0], nn.MultiheadAttention):
            attention = multihead_attention(self.trace.names[module], module, is_self_attention=len(step.inputs) == 1)
            return step.inputs[min(1, len(step.inputs) - 1)], attention
        sources = [source_of(self.trace, operand) for operand in self._operands(step)]
        if not sources or None in sources:
            return index, None
        query, key, value = (source for source in sources if source is not None)
        end = self._output(index)
        layers = [query.step, key.step, value.step, *([] if end is None else [end])]
        calls = step.calls
        for layer in layers:
            calls = shared_calls(calls, self.steps[layer].calls)
        module = self.trace.calls[calls[-1]]
        attention = Attention(
            name=self.trace.names[module],
            module=module,
            query=query.projection,
            key=key.projection,
            value=value.projection,
            output=None if end is None else projection_of(self.trace, end),
            num_heads=query.heads,
            kv_heads=key.heads,
            is_self_attention=len({origin_of(self.trace, layer) for layer in layers[:3]}) == 1,
        )
        return key.step, attention

    def _operands(self, step: Step) -> tuple[int, ...]:
        """The steps of queries, keys and values; empty if the step does not weight values by a softmax."""
        if step.operator.startswith("_scaled_dot_product"):
            return step.inputs[:3] if len(step.inputs) >= 3 else ()
        if is_product(step):
            for weights, values in (step.inputs, step.inputs[::-1]):
                softmax = self._back(weights, lambda each: each.operator in SOFTMAX, ("sum", "norm"))
                scores = None if softmax is None else self._back(softmax, is_product, ("norm",))
                if scores is not None:
                    return (*self.steps[scores].inputs, values)
        return ()

    def _back(self, start: int, is_wanted: Callable[[Step], bool], barriers: Collection[str]) -> int | None:
        """The earliest wanted step before a step; the search stops at products and at kinds that are barriers."""
        found, seen, waiting = None, set(), [start]
        while waiting:
            index = waiting.pop()
            step = self.steps[index]
            if index in seen:
                continue
            seen.add(index)
            if is_wanted(step):
                found = index if found is None else min(found, index)
            elif not is_product(step) and step.kind not in barriers:
                waiting += step.inputs
        return found

    def _output(self, index: int) -> int | None:
        """The step of the first layer that reads the output of an attention; None if there is none."""
        reached = {index}
        for later in range(index + 1, len(self.steps)):
            step = self.steps[later]
            if reached.isdisjoint(step.inputs) or later in self.residual_sums or is_product(step):
                continue
            if step.kind == "layer":
                return later
            reached.add(later)
        return None
