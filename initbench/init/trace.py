"""A trace: what a model computes from what, recorded in one forward pass of a copy.

A step is one operation on tensors that descend from the model's inputs. A linear layer, convolution, attention,
recurrent network, embedding or norm is one step, whatever it computes inside. The model itself is not touched: the copy
runs in evaluation mode, without gradients and without the user's hooks, and the state of the random generators is
restored.
"""

import copy
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils._python_dispatch import TorchDispatchMode

from initbench.init.roles import bare_name, is_norm, unwrap

WEIGHTED = (nn.Linear, _ConvNd, nn.MultiheadAttention)
_MATRICES = (*WEIGHTED, nn.Bilinear, nn.RNNBase, nn.RNNCellBase)
_LAYERS = (*_MATRICES, nn.Embedding, nn.EmbeddingBag)

# Names of aten's operators, without the underscore of those that work in place.
_SUMS = {"add", "sub", "rsub", "lerp"}
_PRODUCTS = {"mul", "div"}
_SUMS_OF_PRODUCTS = {"addcmul", "addcdiv", "addmm", "addmv", "addbmm", "baddbmm"}  # their first operand is added
_MATRIX_PRODUCTS = {"mm", "bmm", "mv", "matmul", "linear", "convolution", "einsum", *_SUMS_OF_PRODUCTS}
_PARTS = {"slice", "select", "split", "split_with_sizes", "unbind", "index", "index_select", "diagonal"}
# Those after which the values are still there, perhaps rearranged, resampled or padded.
_CARRIES = {
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "permute", "transpose", "t", "unsqueeze", "squeeze"),
    *("expand", "clone", "_to_copy", "alias", "detach", "lift_fresh", "contiguous", "copy", "neg", "roll", "flip"),
    *("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "mean", "sum"),
    *("max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "pixel_shuffle", "pixel_unshuffle"),
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_bilinear2d", "upsample_bicubic2d", "upsample_linear1d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "unfold", "repeat", "native_dropout", "as_strided"),
}


@dataclass(frozen=True)
class Step:
    """One operation on tensors computed from the inputs. Sets of steps are integers whose bit i stands for step i."""

    kind: str  # input, sum, carry, part, layer, norm or other
    inputs: tuple[int, ...]  # the steps whose results it uses; for a product with a factor of itself, that alone
    calls: tuple[int, ...]  # the calls of modules in which it happens, outermost first: indices in Trace.calls
    modules: tuple[nn.Module, ...] = ()  # the leaf modules that it applies
    multiplier: nn.Parameter | None = None  # the whole parameter that it multiplies by
    operator: str = ""
    ancestors: int = 0  # itself and every step that its result depends on
    carried: int = 0  # itself and the steps whose values its result is a sum of, perhaps scaled, rearranged or pooled
    cut: int = 0  # the same, if parts of them are enough
    normalized: int = 0  # the same, if they may also be normalized
    viewed: int = 0  # itself and the step of which it is a rearranged copy
    whole: int = 0  # the ancestors of which it does not depend on a part alone


@dataclass
class Trace:
    """The steps of one forward pass in the order of execution. Modules and parameters are the model's, not a copy's."""

    steps: list[Step] = field(default_factory=list)
    calls: list[nn.Module] = field(default_factory=list)  # the modules that were called, once for each call
    matrices: list[nn.Parameter] = field(default_factory=list)  # each time something is multiplied by one
    names: dict[nn.Module, str] = field(default_factory=dict)

    def add(self, kind: str, inputs: Iterable[int], calls: tuple[int, ...], **details: Any) -> int:
        """Append a step; return its index."""
        inputs = tuple(dict.fromkeys(inputs))
        before = [self.steps[index] for index in inputs]
        itself = 1 << len(self.steps)
        carries = before if kind in ("carry", "sum") else []
        committed = reduce(or_, (step.whole & ~step.viewed for step in before), 0)
        if kind not in ("carry", "part"):
            committed |= reduce(or_, (step.viewed for step in before), 0)
        viewed = itself | (reduce(or_, (step.viewed for step in before), 0) if kind == "carry" else 0)
        step = Step(
            kind,
            inputs,
            calls,
            ancestors=reduce(or_, (step.ancestors for step in before), itself),
            carried=reduce(or_, (step.carried for step in carries), itself),
            cut=reduce(or_, (step.cut for step in (before if kind == "part" else carries)), itself),
            normalized=reduce(
                or_, (step.normalized for step in (before if kind in ("part", "norm") else carries)), itself
            ),
            viewed=viewed,
            whole=committed | viewed,
            **details,
        )
        self.steps.append(step)
        return len(self.steps) - 1


def trace(model: nn.Module, inputs: tuple[Tensor, ...]) -> Trace:
    """Run a copy of the model on the inputs and record what it does. Raises whatever the model raises."""
    model = unwrap(model)
    working = copy.deepcopy(model).eval()
    found = Trace(names={module: bare_name(model, name) for name, module in model.named_modules()})
    originals = dict(zip(working.modules(), model.modules(), strict=True))
    parameters = dict(zip(map(id, working.parameters()), model.parameters(), strict=True))
    for module in list(working.modules()):
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
        for key, child in module._modules.items():
            module._modules[key] = None if child is None else unwrap(child)
    recorder = _Recorder(found, working, originals, parameters)
    with _undisturbed(), torch.no_grad():
        for tensor in inputs:
            recorder.node[id(tensor)] = found.add("input", (), ())
            recorder.kept.append(tensor)
        with recorder:
            working(*inputs)
    return found


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Warnings ignored, random states restored, nothing compiled, and no fused operator for a whole encoder layer."""
    fused = torch.backends.mha.get_fastpath_enabled()
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with warnings.catch_warnings(), torch.random.fork_rng(devices), torch.compiler.set_stance("force_eager"):
        warnings.simplefilter("ignore")
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fused)


@dataclass(frozen=True)
class _Constant:
    """A tensor computed from parameters alone."""

    parameters: tuple[nn.Parameter, ...]
    is_whole: bool  # it is one parameter, perhaps in another shape


class _Recorder(TorchDispatchMode):
    """Sees each operation of torch, in the calls of modules that hooks announce."""

    def __init__(
        self,
        found: Trace,
        working: nn.Module,
        originals: dict[nn.Module, nn.Module],
        parameters: dict[int, nn.Parameter],
    ) -> None:
        super().__init__()
        self.found = found
        self.originals = originals
        self.owners: dict[nn.Parameter, nn.Module] = {}
        self.node: dict[int, int] = {}  # by id(tensor): the step that computed it
        self.constants: dict[int, _Constant] = {}  # by id(tensor)
        self.kept: list[Tensor] = []  # so that no other tensor gets the id of one that was seen
        self.stack: list[int] = []  # the calls that have not returned
        self.inside: list[nn.Module] = []  # the layer or norm that runs, and the modules that it calls
        self.is_activated = False  # whether the norm that runs also computes an activation
        for module in working.modules():
            for parameter in module.parameters(recurse=False):
                original = parameters[id(parameter)]
                self.constants[id(parameter)] = _Constant((original,), is_whole=True)
                self.owners.setdefault(original, originals[module])
            module.register_forward_pre_hook(self._enter)
            module.register_forward_hook(self._leave, with_kwargs=True)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        outputs = func(*args, **kwargs)
        if self.inside:
            self.is_activated |= len(self.inside) > 1
            return outputs
        name = func.overloadpacket.__name__.rstrip("_")
        read = list(_tensors((args, kwargs)))
        step = self._record(name, args, read, outputs)
        written = _written(func._schema.arguments, args, kwargs) if func._schema.is_mutable else []
        for tensor in _tensors(outputs):
            if step is not None:
                self._know(tensor, step)
            elif sources := [self.constants[id(each)] for each in read if id(each) in self.constants]:
                is_whole = len(sources) == 1 and sources[0].is_whole and name in _CARRIES
                owners = tuple(dict.fromkeys(parameter for source in sources for parameter in source.parameters))
                self.constants[id(tensor)] = _Constant(owners, is_whole)
                self.kept.append(tensor)
        if step is not None:
            for tensor in written:
                self._overwrite(tensor, step)
        return outputs

    def _enter(self, module: nn.Module, args: Any) -> None:
        if self.inside or _is_layer(module):
            self.inside.append(module)
            self.is_activated &= len(self.inside) > 1
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
        inputs = [self.node[id(tensor)] for tensor in _tensors((args, kwargs)) if id(tensor) in self.node]
        if not inputs:
            return
        kind = "norm" if is_norm(module) and not self.is_activated else "layer" if _is_linear(module) else "other"
        if isinstance(module, _MATRICES):
            used = (self.constants[id(each)].parameters[0] for each in module.parameters() if each.dim() >= 2)
            self.found.matrices.extend(used)
        step = self.found.add(kind, inputs, tuple(self.stack), modules=(self.originals[module],))
        for tensor in _tensors(outputs):
            self._know(tensor, step)

    def _record(self, name: str, args: Any, read: list[Tensor], outputs: Any) -> int | None:
        """Add the step for an operation; None if no tensor that it reads was computed from the inputs."""
        inputs = [self.node[id(tensor)] for tensor in read if id(tensor) in self.node]
        if not inputs:
            return None
        constants = [self.constants[id(tensor)] for tensor in read if id(tensor) in self.constants]
        parameters = [parameter for constant in constants for parameter in constant.parameters]
        if name in _MATRIX_PRODUCTS:
            self.found.matrices.extend(parameter for parameter in parameters if parameter.dim() >= 2)
        modules = tuple(dict.fromkeys(self.owners[parameter] for parameter in parameters))
        modules = tuple(module for module in modules if is_leaf(module))
        calls = tuple(self.stack)
        details: dict[str, Any] = {"operator": name, "modules": modules}
        if name in _SUMS_OF_PRODUCTS:
            added = self.node.get(id(args[0]))
            factors = [tensor for tensor in args[1:3] if id(tensor) in self.node or id(tensor) in self.constants]
            product = self._product(name, factors, calls, details)
            if added is None or product is None:
                return self.found.add("carry", [added], calls, **details) if product is None else product
            return self.found.add("sum", (added, product), calls, operator=name)
        if name in _PRODUCTS or name in _MATRIX_PRODUCTS:
            return self._product(name, read, calls, details)
        if name in _SUMS and len(inputs) == 2:
            return self.found.add("sum", inputs, calls, **details)
        if name == "sum" and self._adds_up_a_stack(inputs[0], args, outputs):
            return self._sum_of(self.found.steps[inputs[0]].inputs, calls)
        kind = "other"
        if len(set(inputs)) == 1:
            if name in _PARTS and any(each.numel() < args[0].numel() for each in _tensors(outputs)):
                kind = "part"
            elif name in _CARRIES or name in _PARTS or name in _SUMS or name in ("cat", "stack"):
                kind = "carry"
        return self.found.add(kind, inputs, calls, **details)

    def _product(self, name: str, factors: list[Tensor], calls: tuple[int, ...], details: Any) -> int | None:
        inputs = [self.node[id(tensor)] for tensor in factors if id(tensor) in self.node]
        if not inputs:
            return None
        if name in _MATRIX_PRODUCTS and name != "addcmul" and name != "addcdiv":
            is_linear = len(inputs) == 1 and any(_is_linear(module) for module in details["modules"])
            return self.found.add("layer" if is_linear else "other", inputs, calls, **details)
        if len(inputs) == 1:
            constants = [self.constants[id(tensor)] for tensor in factors if id(tensor) in self.constants]
            multiplier = constants[0].parameters[0] if constants and constants[0].is_whole else None
            return self.found.add("carry", inputs, calls, multiplier=multiplier, **details)
        # x * g(x): what computes a factor for its own input is no step on the way from x.
        main = [
            one
            for one, other in (inputs[:2], inputs[1::-1])
            if one != other and self.found.steps[one].viewed & self.found.steps[other].ancestors
        ]
        return self.found.add("other", main if len(main) == 1 else inputs, calls, **details)

    def _adds_up_a_stack(self, index: int, args: Any, outputs: Any) -> bool:
        step = self.found.steps[index]
        if step.operator != "stack" or len(step.inputs) < 2 or len(args) < 2 or len(args[1]) != 1:
            return False
        return bool(args[0].shape[args[1][0]] == len(step.inputs))

    def _sum_of(self, terms: tuple[int, ...], calls: tuple[int, ...]) -> int:
        return reduce(lambda total, term: self.found.add("sum", (total, term), calls, operator="add"), terms)

    def _know(self, tensor: Tensor, step: int) -> None:
        self.node[id(tensor)] = step
        self.kept.append(tensor)

    def _overwrite(self, tensor: Tensor, step: int) -> None:
        """Tensors that share memory with one that was written into have changed too."""
        self._know(tensor, step)
        memory = tensor.untyped_storage()._cdata
        for other in {id(each): each for each in self.kept}.values():
            if other is tensor or other.untyped_storage()._cdata != memory:
                continue
            if other.numel() == tensor.numel():
                self.node[id(other)] = self.found.add("carry", [step], tuple(self.stack))
            else:
                before = [self.node[id(other)]] if id(other) in self.node else []
                self.node[id(other)] = self.found.add("other", [*before, step], tuple(self.stack))


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is listed among those of a branch: a layer, a norm, or one without children."""
    return _is_layer(module) or not any(True for _ in module.children())


def _is_layer(module: nn.Module) -> bool:
    return isinstance(module, _LAYERS) or is_norm(module)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | _ConvNd)


def _written(arguments: Any, args: Any, kwargs: Any) -> list[Tensor]:
    values = [*args, *(kwargs.get(argument.name) for argument in arguments[len(args) :])]
    pairs = zip(arguments, values, strict=False)
    return [each for argument, value in pairs if argument.is_write for each in _tensors(value)]


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
    elif hasattr(value, "__dict__") and hasattr(value, "keys"):  # such as transformers' ModelOutput
        yield from _tensors(dict(value))
