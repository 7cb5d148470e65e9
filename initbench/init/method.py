"""A method: a function that changes a whole model after schemes have filled its parameters.

It works on an fp32 copy, from which only values are copied back, so it cannot change modes, hooks, gradients or (if
data passes through the model) the running statistics of norms. A method asks for what it needs by the names of its
arguments:

- `batch`: one fixed Batch on the model's device, for `model(batch.inputs)` or `inputs, targets = batch`. The copy is in
  training mode with dropout switched off.
- `loss`: a function from (outputs, targets) to a scalar.
- `stream`: a function from a name to a torch.Generator with its own random stream.
- `branches`, `branch_matrices`, `attentions`, `gates`, `recurrents`: the parts of the model that structure/parts.py
  finds. A model without any is refused, unless the argument is `branches_if_any` or `gates_if_any`.
- `matrices`, `parameters`: the weight matrices, or all parameters, in the order in which the model uses them;
  `positions`: its position embeddings.
- `loose`: the matrices and embedding tables that belong to no layer.
- `example`: inputs that the model can be run on; None if none are known.
- `policies`: the policies and rules of the config, as a mapping, for what initializes copies of the model.

It may return a dict of numbers for the record, such as its cost (`steps`) and what it reached; or, as ExpectedStds, the
standard deviations of what it draws.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils.parametrizations import _SpectralNorm

from initbench.init.ambient import global_generators, plain_torch
from initbench.init.copying import copy_of
from initbench.init.declarations import ExpectedStds
from initbench.init.failures import UNSUITABLE, explain, is_of_a_layer
from initbench.init.memory import is_finite, put, storage_of
from initbench.init.parametrized import update_estimates
from initbench.init.roles import unwrap, walk
from initbench.init.scheme import Spec, find
from initbench.init.structure.parts import PARTS, Parts
from initbench.schema.target import is_ours, reason

Loss = Callable[[Any, Tensor], Tensor]

# Layers that are random in training mode, by class name, since timm and torchvision have their own classes.
_STOCHASTIC = ("Dropout", "AlphaDropout", "FeatureAlphaDropout", "DropPath", "StochasticDepth", "DropBlock2d")


class Batch(NamedTuple):
    """One batch: inputs (N, ...), and targets (N, ...), None if the caller of `initialize` gave inputs alone."""

    inputs: Tensor
    targets: Tensor | None = None


@dataclass(frozen=True)
class Method:
    """A function that changes a whole model, with its parameters; calling it runs it on a copy and copies back."""

    label: str
    function: Callable[..., Mapping[str, float] | None]
    parameters: dict[str, Any]
    asks_for: tuple[str, ...]
    each_module: bool  # called once for each module, as by nn.Module.apply, instead of once
    policies: Mapping[str, Any]  # and rules, as they were given

    @property
    def needs_batch(self) -> bool:
        """Whether the function asks for a batch of data."""
        return "batch" in self.asks_for

    def check(self, model: nn.Module, inputs: Tensor | None = None) -> None:
        """Raise ValueError if the model lacks a part that the method needs, or if it fails on a copy of the model.

        `inputs` are some that the model can be run on, if they are known.
        """
        if self.needs_batch:
            self._parts(model, inputs)
        else:
            working = working_copy(model, torch.device("cpu"), self.label)
            self._run(working, lambda name: Generator(), None, F.cross_entropy, inputs)

    def _parts(self, model: nn.Module, inputs: Tensor | None) -> dict[str, Any]:
        parts = Parts(model, inputs)
        return {name: parts.given(name, self.label) for name in self.asks_for if name in PARTS}

    def __call__(
        self,
        model: nn.Module,
        stream: Callable[[str], Generator],
        batch: Batch | None,
        loss: Loss,
        inputs: Tensor | None = None,
    ) -> tuple[list[str], dict[str, float], ExpectedStds]:
        """Change the model; return the names of what changed, the numbers to record and the expected deviations.

        `inputs` are some that the model can be run on, if they are known.

        Raises ValueError for a batch that is missing or unsuitable, if the method fails, and if it leaves a value that
        is not finite.
        """
        device = next(model.parameters()).device if self.needs_batch else torch.device("cpu")
        with plain_torch(model if self.needs_batch else None):
            working = working_copy(model, device, self.label)
            if self.needs_batch:
                batch = _check_batch(self.label, batch, "loss" in self.asks_for, working)
                if "loss" in self.asks_for and loss is F.cross_entropy:
                    _check_classes(self.label, batch.targets)
            numbers = self._run(working, stream, batch, loss, inputs)
            self._check_shapes(working, model)
            update_estimates(working, model, stream(f"method/{self.label}/singular vectors"))
            for found in walk(working):
                if not is_finite(found.tensor):
                    raise ValueError(f"{self.label} left values in {found.name} that are not finite")
            changed = _write_back(working.named_parameters(), dict(model.named_parameters()))
            states, others = _buffers(working)
            changed += _write_back(states, dict(model.named_buffers()))
            if not self.needs_batch:
                _write_back(others, dict(model.named_buffers()))
        if isinstance(numbers, ExpectedStds):
            return changed, {}, numbers
        return changed, numbers, ExpectedStds()

    def _run(
        self,
        model: nn.Module,
        stream: Callable[[str], Generator],
        batch: Batch | None,
        loss: Loss,
        inputs: Tensor | None,
    ) -> dict[str, float]:
        asked: dict[str, Any]
        with global_generators(stream(f"method/{self.label}")):
            if self.each_module:
                asked = {name: stream("method") for name in self.asks_for}
                for module in [*model.modules()]:  # a list, since the function may add modules, which is refused later
                    self._call(module, asked, model)
                return {}
            given: dict[str, Any] = {"batch": batch, "loss": loss, "stream": stream, "example": inputs}
            given |= {"policies": self.policies, **self._parts(model, inputs)}
            return self._call(model, {name: given[name] for name in self.asks_for}, model)

    def _call(self, part: nn.Module, asked: Mapping[str, Any], model: nn.Module) -> dict[str, float]:
        """The function's numbers. Raises ValueError, naming the layer, if the function or a layer fails.

        An error for lack of memory is left as it is: with a smaller batch there might be enough.
        """
        try:
            returned = self.function(part, **asked, **self.parameters)
            return {} if self.each_module else self._numbers(returned, model)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the layers of a model may raise anything
            if isinstance(error, (ValueError, *UNSUITABLE)) or is_of_a_layer(error, model):
                raise explain(error, self.label, self.parameters, model, part if self.each_module else None) from error
            if is_ours(self.function):
                raise
            raise ValueError(f"{self.label} fails: {reason(error)}") from error

    def _check_shapes(self, working: nn.Module, model: nn.Module) -> None:
        """Raise ValueError unless the model has all that is to be written back."""
        kinds = ("parameters",) if self.needs_batch else ("parameters", "buffers")
        for kind in kinds:
            one, other = ({n: t.shape for n, t in getattr(m, f"named_{kind}")()} for m in (working, model))
            if one != other:
                raise ValueError(
                    f"{self.label} changed which {kind} {type(model).__name__} has, or their shapes; it may set values"
                )

    def _numbers(self, returned: Any, model: nn.Module) -> dict[str, float]:
        """What a function may return: nothing, the model that it has changed, or numbers for the record."""
        if returned is None or returned is model:
            return {}
        if isinstance(returned, ExpectedStds):
            return returned
        if isinstance(returned, nn.Module):
            raise ValueError(f"{self.label} returns a new model; it must change the one that it is given, in place")
        if isinstance(returned, Mapping):
            with suppress(TypeError, ValueError, RuntimeError):  # text, and tensors of several numbers
                return {str(name): v if isinstance(v, int) else float(v) for name, v in returned.items()}
        raise ValueError(f"{self.label} may return a dict of numbers for the record, got {_sketch(returned)}")


def resolve_method(spec: Spec, beside: Iterable[str], policies: Mapping[str, Any]) -> Method | None:
    """The method that a spec names, None if it names a scheme. Raises ValueError as `find` does."""
    target = find(spec, beside)
    if target.fills == "tensor":
        return None
    each_module = target.fills == "module"
    return Method(target.label, target.function, target.parameters, target.asks_for, each_module, policies)


def as_batch(batch: tuple[Tensor, Tensor | None] | Tensor | None) -> Batch | None:
    """Convert inputs, or a pair of inputs and targets, to a Batch. Raises ValueError for anything else."""
    if batch is None or isinstance(batch, Tensor):
        return batch if batch is None else Batch(batch)
    if isinstance(batch, tuple | list) and 1 <= len(batch) <= 2:
        inputs, targets = (*batch, None)[:2]
        if isinstance(inputs, Tensor) and isinstance(targets, Tensor | None):
            return Batch(inputs, targets)
    raise ValueError(f"batch must be a tensor of inputs or a pair of tensors (inputs, targets), got {_sketch(batch)}")


def _sketch(batch: Any) -> str:
    """The type of a value and of its items, for an error message."""
    kind = type(batch).__name__
    return f"{kind} of {', '.join(type(item).__name__ for item in batch)}" if isinstance(batch, tuple | list) else kind


def _check_batch(label: str, batch: Batch | None, needs_targets: bool, model: nn.Module) -> Batch:
    """The batch on the model's device, with floating-point numbers in the model's dtype."""
    if batch is None:
        raise ValueError(f"{label} needs data: pass batch=(inputs, targets)")
    inputs, targets = batch
    if needs_targets and targets is None:
        raise ValueError(f"{label} needs targets: pass batch=(inputs, targets)")
    samples = len(inputs) if inputs.dim() else 0
    if samples < 2:
        raise ValueError(f"{label} measures statistics, so its batch must have at least 2 samples, got {samples}")
    if targets is not None and (targets.dim() == 0 or len(targets) != samples):
        raise ValueError(f"{label} was given {samples} inputs and targets of shape {tuple(targets.shape)}")
    if inputs.is_meta or (targets is not None and targets.is_meta):
        raise ValueError(f"{label} was given a batch on the meta device, which has no values")
    if not inputs.isfinite().all():
        raise ValueError(f"{label} was given a batch with values that are not finite")
    like = next((p for p in model.parameters() if p.is_floating_point()), next(model.parameters()))
    return Batch(_like(inputs, like), None if targets is None else _like(targets, like))


def _check_classes(label: str, targets: Tensor | None) -> None:
    """Raise ValueError for targets that are neither classes nor their probabilities: cross-entropy is not their loss.

    With one number for each sample it would be 0, whatever the weights are.
    """
    if targets is not None and targets.is_floating_point():
        totals = targets.sum(1) if targets.dim() > 1 else targets
        if not torch.allclose(totals, torch.ones_like(totals), atol=1e-3):
            raise ValueError(
                f"{label} needs the loss of these targets, which are numbers and not classes: "
                "pass loss=, such as torch.nn.functional.mse_loss"
            )


def _like(values: Tensor, like: Tensor) -> Tensor:
    # Tensors made in inference_mode cannot be used for gradients, but copies of them can.
    values = values.clone() if values.is_inference() else values.detach()
    return values.to(like) if values.is_floating_point() else values.to(like.device)


def working_copy(model: nn.Module, device: torch.device, label: str) -> nn.Module:
    """A copy on `device` in training mode: narrow tensors as fp32, all parameters trainable, dropout switched off.

    Raises ValueError, with the `label` of what needs the copy, for a layer that cannot be copied.
    """
    working = copy_of(model, f"{label} works on").to(device)
    wider: dict[object, Tensor] = {}  # tensors that share memory in the model share it in the copy
    for tensor in (*working.parameters(), *working.buffers()):
        if tensor.is_floating_point() and tensor.dtype.itemsize < 4:
            memory = (storage_of(tensor), tensor.shape, tensor.stride())
            tensor.data = wider.setdefault(memory, tensor.data.float())
    for parameter in working.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    working.train()
    for module in working.modules():
        if type(module).__name__.startswith(_STOCHASTIC):
            module.eval()
            if isinstance(module, nn.Dropout):
                module.p = 0.0  # which attentions of timm and transformers hand on to torch's fused attention
        elif type(module).__name__ == "OptimizedModule":
            # Not compiled, which takes longer than the few passes here, and does not allow higher derivatives.
            module.__dict__["forward"] = unwrap(module)
        elif isinstance(module, _SpectralNorm):
            module.eval()  # its estimate is that of the weight, whatever number of forward passes a method makes
        elif isinstance(module, nn.MultiheadAttention | nn.RNNBase):
            module.dropout = 0.0
    return working


def _buffers(model: nn.Module) -> tuple[list[tuple[str, Tensor]], list[tuple[str, Tensor]]]:
    """The buffers in which parametrizations keep a part of a weight, as orthogonal does, and all others."""
    found: tuple[list[tuple[str, Tensor]], list[tuple[str, Tensor]]] = [], []
    for name, buffer in model.named_buffers():
        found["parametrizations" not in name.split(".")].append((name, buffer))
    return found


@torch.no_grad()
def _write_back(values: Any, to: dict[str, Tensor]) -> list[str]:
    changed = []
    for name, value in values:
        new = value.to(to[name])
        if not torch.equal(new, to[name]):
            put(to[name], new)
            changed.append(name)
    return changed
