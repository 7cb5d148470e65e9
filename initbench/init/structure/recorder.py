"""Running a model once to record its trace, without touching it.

A copy of the model is run in evaluation mode, without gradients, hooks or compilation. The states of the random
generators are restored.
"""

import copy
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils._python_dispatch import TorchDispatchMode

from initbench.init.ambient import global_generators
from initbench.init.roles import bare_name, is_norm, unwrap, unwrapped
from initbench.init.structure.features import Features
from initbench.init.structure.trace import Trace
from initbench.schema.target import line

_MATRICES = (nn.Linear, _ConvNd, nn.MultiheadAttention, nn.Bilinear, nn.RNNBase, nn.RNNCellBase)
_EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)

# Names of aten's operators, without the underscore of those that work in place.
_SUMS = {"add", "sub", "rsub", "lerp"}
_FACTORS = {"mul", "div"}
_SUMS_OF_FACTORS = {"addcmul", "addcdiv"}  # these add a product to their first operand
_SUMS_OF_MATRIX_PRODUCTS = {"addmm", "addmv", "addbmm", "baddbmm"}
_MATRIX_PRODUCTS = {"mm", "bmm", "mv", "linear", "convolution", "_grouped_mm", *_SUMS_OF_MATRIX_PRODUCTS}
_PARTS = {"slice", "select", "split", "split_with_sizes", "unbind", "index", "index_select", "gather", "diagonal"}
_LOOKUPS = {"embedding", "index", "index_select"}
_CARRIES = {
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t", "unsqueeze", "squeeze"),
    *("expand", "repeat", "clone", "copy", "_to_copy", "alias", "detach", "lift_fresh", "contiguous", "as_strided"),
    *("neg", "roll", "flip", "cat", "stack", "unfold", "pixel_shuffle", "pixel_unshuffle", "native_dropout"),
    *("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
    *("mean", "sum", "amax", "avg_pool1d", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d"),
    *("max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_linear1d", "upsample_trilinear3d"),
    *("upsample_bilinear2d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
}


def record(model: nn.Module, candidates: Iterable[tuple[Tensor | None, ...]]) -> Trace:
    """Run a copy of the model on the first of the inputs that it accepts, and return what it did.

    Raises ValueError if it accepts none (with its error for the first ones) or cannot be copied.
    """
    model = unwrap(model)
    reason = "no inputs are known that it could be run on"
    try:
        recorder = _Recorder(model, copy.deepcopy(model).eval())
    except Exception as error:  # a user's class may raise anything
        raise ValueError(f"it cannot be copied: {line(error)}") from error
    try:
        with _undisturbed(), torch.no_grad():
            for attempt, inputs in enumerate(candidates):
                try:
                    return recorder.run(inputs)
                except Exception as error:  # a user's class may raise anything
                    if not attempt:
                        shape = tuple(next(_tensors(inputs)).shape)
                        reason = f"with inputs of shape {shape}: {line(error)}"
    finally:
        recorder.release()
    raise ValueError(reason)


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is listed among those of a branch: a layer, a norm, or one without children."""
    return _is_layer(module) or not any(True for _ in module.children())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A context that ignores warnings, restores random states, and turns off compilation and fused encoder layers."""
    fused = torch.backends.mha.get_fastpath_enabled()
    # Nothing is compiled unless this is imported, which takes a second.
    eager = torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()
    with warnings.catch_warnings(), global_generators(Generator().manual_seed(0)), eager:
        warnings.simplefilter("ignore")  # whatever the model says, it will say it again when it is trained
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)


@dataclass(frozen=True)
class _Constant:
    """A tensor computed from parameters alone."""

    parameters: tuple[Tensor, ...]
    is_whole: bool  # it is one parameter, perhaps in another shape
    step: int | None = None  # set if it may be a token, which later steps are computed from


class _Recorder(TorchDispatchMode):
    """Records every operation of torch, and the calls of modules in which it happens."""

    def __init__(self, model: nn.Module, working: nn.Module) -> None:
        super().__init__()
        self.working = working
        self.names = {module: bare_name(model, name) for name, module in model.named_modules()}
        self.originals = dict(zip(working.modules(), model.modules(), strict=True))
        parameters = dict(zip(map(id, working.parameters()), model.parameters(), strict=True))
        self.owners: dict[Tensor, nn.Module] = {}
        self.own: dict[int, Tensor] = {}  # parameters, and buffers with one number, by id(tensor)
        for module in self.originals:
            for parameter in module.parameters(recurse=False):
                self.own[id(parameter)] = parameters[id(parameter)]
                self.owners.setdefault(parameters[id(parameter)], self.originals[module])
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave, with_kwargs=True)
        constants = zip(working.buffers(), model.buffers(), strict=True)
        self.own |= {id(twin): buffer for twin, buffer in constants if twin.numel() == 1}
        unwrapped(working)

    def run(self, inputs: tuple[Tensor | None, ...]) -> Trace:
        """Run the copy. Raises whatever the model raises."""
        self.found = Trace(self.names)
        self.results: dict[int, int] = {}  # by id(tensor): the step that computed it
        self.constants: dict[int, _Constant] = {}  # by id(tensor)
        self.written: dict[int, list[int]] = {}  # by memory: the steps that wrote into it
        self.sharing: dict[int, list[Tensor]] = {}  # by memory: the tensors seen, which thereby keep their ids
        self.features = Features()
        self.added = 0  # the tokens that have been added to something, as a set of steps
        self.stack: list[int] = []  # the calls that have not returned
        self.inside: list[nn.Module] = []  # the layer or norm that runs, and the modules that it calls
        self.is_activated = False  # whether the norm that runs calls other modules, such as an activation
        self.indices: Tensor | None = None  # those that the embedding that runs looks up
        for tensor in _tensors(inputs):
            self._know(tensor, self.found.add("input", (), ()))
        with self:
            self.working(*inputs)
        return self.found

    def release(self) -> None:
        """Remove the hooks, which hold this recorder as it holds the copy: a cycle that keeps its memory for long."""
        for module in self.originals:
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        name = func.overloadpacket.__name__.rstrip("_")
        if self.inside:
            self.is_activated |= len(self.inside) > 1
            if name == "embedding":
                self.indices = args[1]
            return outputs
        if name.startswith("new_") or name.endswith("_like"):
            return outputs  # it has the shape of what it is made from, not its values
        read = list(_tensors((args, kwargs)))
        computed = [tensor for tensor in read if self._step(tensor) is not None]
        inputs = [step for tensor in computed if (step := self._step(tensor)) is not None]
        constants = [constant for tensor in read if (constant := self._constant(tensor)) is not None]
        step = None
        self.features.follow(name, func, args, kwargs, computed, outputs)
        for position, tensor in enumerate(_tensors(outputs)):
            if not inputs:
                self._know_constant(tensor, name, constants)
                continue
            # The parts that one operator makes are different; its other outputs belong together.
            if step is None or (position and name in _PARTS):
                step = self._record(name, args, read, inputs, constants, tensor)
            self._know(tensor, step)
        if step is not None and func._schema.is_mutable:
            for tensor in _written(func._schema.arguments, args, kwargs):
                self._overwrite(tensor, step)
        return outputs

    def _enter(self, module: nn.Module, args: Any) -> None:
        if self.inside or _is_layer(module):
            self.inside.append(module)
            if len(self.inside) == 1:
                self.is_activated, self.indices = False, None
        else:
            self.found.calls.append(self.originals.get(module, module))
            self.stack.append(len(self.found.calls) - 1)

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, outputs: Any) -> None:
        if not self.inside:
            self.stack.pop()
            return
        self.inside.pop()
        if self.inside:
            return
        original = self.originals[module]
        self.found.ran(original)
        read = list(_tensors((args, kwargs)))
        if isinstance(module, nn.Embedding) and self.indices is not None:
            # A subclass may use only the shape of its argument, as BART's position embedding does.
            read = [self.indices]
            self._embed(original, self.indices)
        inputs = [step for tensor in read if (step := self._step(tensor)) is not None]
        given = [constant for tensor in read if (constant := self._constant(tensor)) is not None]
        if isinstance(module, nn.MultiheadAttention) and inputs:
            inputs = [*_steps(given), *inputs]  # a learned token is a query, which is its first argument
        own = [_Constant((self.own[id(parameter)],), is_whole=True) for parameter in module.parameters()]
        kind = "norm" if is_norm(module) and not self.is_activated else "layer" if _is_linear(module) else "other"
        if not inputs:
            for tensor in _tensors(outputs):
                self._know_constant(tensor, kind, [*given, *own], (original,))
            return
        self._use([*given, *own])
        if isinstance(module, _MATRICES):
            self.found.matrices.extend(each.parameters[0] for each in own if each.parameters[0].dim() >= 2)
        step = self.found.add(kind, inputs, tuple(self.stack), constants=_steps(given), modules=(original,))
        if kind == "norm":
            computed = [tensor for tensor in read if self._step(tensor) is not None]
            self.features.follow(kind, None, (), {}, computed, outputs)
        for tensor in _tensors(outputs):
            self._know(tensor, step)

    def _embed(self, embedding: nn.Module, indices: Tensor) -> None:
        """Note whether an embedding embeds positions: different numbers that do not depend on the inputs."""
        is_position = self._step(indices) is None and bool((indices != indices.flatten()[:1]).any())
        self.found.embeddings.setdefault(embedding, is_position)

    def _record(
        self,
        name: str,
        args: Any,
        read: list[Tensor],
        inputs: list[int],
        constants: list[_Constant],
        output: Tensor,
    ) -> int:
        """Add the step for an operation on what was computed from the inputs."""
        parameters = self._use(constants)
        owners = dict.fromkeys(self.owners[p] for p in parameters if p in self.owners)
        modules = tuple(module for module in owners if is_leaf(module))
        self.found.ran(*modules)
        calls = tuple(self.stack)
        details: dict[str, Any] = {"operator": name, "modules": modules, "constants": _steps(constants)}
        if name in _SUMS_OF_FACTORS or name in _SUMS_OF_MATRIX_PRODUCTS:
            first, factors = self._step(args[0]), [tensor for tensor in read if tensor is not args[0]]
            if first is None:
                return self._product(name, factors, calls, details)
            if any(self._step(tensor) is not None for tensor in factors):
                return self.found.add("sum", (first, self._product(name, factors, calls, details)), calls)
            return self.found.add("carry", (first,), calls, **details)
        if name in _FACTORS or name in _MATRIX_PRODUCTS:
            return self._product(name, read, calls, details)
        if name in _SUMS:
            # A sum of a learned token and what was computed from it is a residual sum, unless the token is added
            # several times, as position embeddings may be.
            fresh = [each for each in details["constants"] if not self._is_added_again(each)]
            tokens = [each for each in fresh if self.found.steps[inputs[0]].ancestors >> each & 1]
            kind = "sum" if len(inputs) == 2 or tokens else "carry"
            return self.found.add(kind, [*inputs, *tokens[:1]] if kind == "sum" else inputs, calls, **details)
        if name == "sum" and self._adds_up_a_stack(inputs[0], args):
            terms = self.found.steps[inputs[0]].inputs
            total = reduce(lambda one, two: self.found.add("sum", (one, two), calls), terms)
            return self.found.add("carry", (total, inputs[0]), calls, operator=name)
        if name in _LOOKUPS:
            self.found.tables.extend(parameter for parameter in parameters if parameter.dim() >= 2)
        kind = "other"
        if len(set(inputs)) == 1 and name in _PARTS | _CARRIES:
            kind = "part" if name in _PARTS and output.numel() < read[0].numel() else "carry"
        return self.found.add(kind, inputs, calls, **details)

    def _product(self, name: str, factors: list[Tensor], calls: tuple[int, ...], details: Any) -> int:
        inputs = [step for tensor in factors if (step := self._step(tensor)) is not None]
        constants = [constant for tensor in factors if (constant := self._constant(tensor)) is not None]
        if name in _MATRIX_PRODUCTS:
            self.found.matrices.extend(p for constant in constants for p in constant.parameters if p.dim() >= 2)
            is_linear = len(inputs) == 1 and any(map(_has_weight, details["modules"]))
            step = self.found.add("layer" if is_linear else "other", inputs, calls, **details)
            if constants and not is_linear:
                self.found.outside_layers[step] = constants[0].parameters[0]
            return step
        if len(inputs) == 1:
            multiplier = constants[0].parameters[0] if constants and constants[0].is_whole else None
            return self.found.add("carry", inputs, calls, multiplier=multiplier, **details)
        # What computes a factor for its own input, as squeeze-and-excitation does, is not on the way from that input.
        steps = self.found.steps
        pairs = [pair for pair in (inputs[:2], inputs[1::-1]) if pair[0] != pair[1]]
        main = [one for one, other in pairs if steps[one].viewed & steps[other].ancestors]
        return self.found.add("other", main if len(main) == 1 else inputs, calls, **details)

    def _adds_up_a_stack(self, index: int, args: Any) -> bool:
        terms = self.found.steps[index].inputs
        is_stack = self.found.steps[index].operator == "stack" and len(terms) > 1
        return is_stack and len(args) > 1 and len(args[1]) == 1 and args[0].shape[args[1][0]] == len(terms)

    def _is_added_again(self, token: int) -> bool:
        viewed = self.found.steps[token].viewed
        again = bool(viewed & self.added)
        self.added |= viewed
        return again

    def _step(self, tensor: Tensor) -> int | None:
        """The step that computed a tensor, or that wrote into its memory; None if it does not depend on the inputs."""
        if id(tensor) not in self.results and (steps := self.written.get(_memory(tensor), [])):
            self._know(tensor, self.found.add("other", steps, tuple(self.stack)))
        return self.results.get(id(tensor))

    def _constant(self, tensor: Tensor) -> _Constant | None:
        if id(tensor) in self.own and id(tensor) not in self.constants:
            parameter = self.own[id(tensor)]
            owner = self.owners.get(parameter)
            is_part = owner is not None and is_leaf(owner) and not isinstance(owner, _EMBEDDINGS)
            is_token = parameter.dim() >= 2 and not is_part
            step = self.found.add("input", (), tuple(self.stack)) if is_token else None
            self.constants[id(tensor)] = _Constant((parameter,), is_whole=True, step=step)
        return self.constants.get(id(tensor))

    def _know(self, tensor: Tensor, step: int) -> None:
        self.results[id(tensor)] = step
        if self.found.steps[step].kind == "layer":
            self.features.start(tensor, step, _axis(self.found.steps[step].modules[0]))
        if (features := self.features.of.get(id(tensor))) is not None:
            self.found.features[step] = features
        self.sharing.setdefault(_memory(tensor), []).append(tensor)

    def _know_constant(
        self, tensor: Tensor, name: str, sources: list[_Constant], modules: tuple[nn.Module, ...] = ()
    ) -> None:
        if not sources:
            return
        is_whole = len(sources) == 1 and sources[0].is_whole and name in _CARRIES
        step = None
        if steps := _steps(sources):
            if name in _SUMS:
                self.added |= reduce(or_, (self.found.steps[each].viewed for each in steps))
            kind = "carry" if name in _CARRIES else name if name in ("norm", "layer") else "other"
            step = self.found.add(kind, steps, tuple(self.stack), modules=modules, operator=name)
        parameters = dict.fromkeys(parameter for source in sources for parameter in source.parameters)
        self.constants[id(tensor)] = _Constant(tuple(parameters), is_whole, step)
        self.sharing.setdefault(_memory(tensor), []).append(tensor)

    def _use(self, constants: list[_Constant]) -> list[Tensor]:
        parameters = [parameter for constant in constants for parameter in constant.parameters]
        self.found.parameters.update(dict.fromkeys(parameters))
        return parameters

    def _overwrite(self, tensor: Tensor, step: int) -> None:
        """What shares memory with a tensor that was written into has changed too."""
        memory = _memory(tensor)
        self.written.setdefault(memory, []).append(step)
        for other in list({id(each): each for each in self.sharing.get(memory, [])}.values()):
            if other is not tensor and id(other) in self.results:
                is_all = other.numel() == tensor.numel()
                inputs = [step] if is_all else [self.results[id(other)], step]
                self.results[id(other)] = self.found.add("carry" if is_all else "other", inputs, tuple(self.stack))
        self._know(tensor, step)


def _steps(constants: list[_Constant]) -> list[int]:
    return [constant.step for constant in constants if constant.step is not None]


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, _MATRICES + _EMBEDDINGS) or is_norm(module)


def _has_weight(module: nn.Module) -> bool:
    return _is_linear(module) or ("weight" in module._parameters and not isinstance(module, _EMBEDDINGS))


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | _ConvNd)


def _axis(layer: nn.Module) -> int:
    """The axis of a layer's output along which its features are."""
    return -1 - len(layer.kernel_size) if isinstance(layer, _ConvNd) else -1


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else id(tensor)


def _written(arguments: Any, args: Any, kwargs: Any) -> list[Tensor]:
    values = [*args, *(kwargs.get(argument.name) for argument in arguments[len(args) :])]
    pairs = zip(arguments, values, strict=False)
    return [each for argument, value in pairs if argument.is_write for each in _tensors(value)]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif hasattr(value, "values"):  # a dictionary, or an output of transformers
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
