"""A method: a function that changes a whole model after schemes have filled its parameters.

It works on an fp32 copy, from which only values are copied back, so it cannot change modes, hooks, gradients or (if
data passes through the model) the running statistics of norms. A method asks for what it needs by the names of its
arguments:

- `batch`: one fixed Batch on the model's device. The copy is in training mode with dropout switched off.
- `loss`: a function from (outputs, targets) to a scalar.
- `stream`: a function from a name to a torch.Generator with its own random stream.
- `branches`, `attentions`, `gates`, `recurrents`: the parts of the model that structure.py finds. A model without any
  is refused, unless the argument is `branches_if_any` or `gates_if_any`.
- `matrices`, `parameters`: the weight matrices, or all parameters, in the order in which the model uses them.

It may return a dict of numbers for the record, such as its cost (`steps`) and what it reached.
"""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init.roles import storage_of, walk
from initbench.init.scheme import Spec, find, global_generator
from initbench.init.structure import PARTS, Parts

Loss = Callable[[Any, Tensor], Tensor]

# Layers that are random in training mode, by class name, since timm and torchvision have their own classes.
_STOCHASTIC = ("Dropout", "AlphaDropout", "FeatureAlphaDropout", "DropPath", "StochasticDepth", "DropBlock2d")


class Batch(NamedTuple):
    """One batch of inputs (N, ...) and, for methods that need a loss, targets (N, ...)."""

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
            self._try(model, inputs)

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
    ) -> tuple[list[str], dict[str, float]]:
        """Change the model; return the names of the parameters that changed and the numbers to record.

        `inputs` are some that the model can be run on, if they are known.

        Raises ValueError for a batch that is missing or unsuitable, and if the method leaves a value that is not
        finite; the parameters then keep the values that the schemes gave them.
        """
        device = next(model.parameters()).device
        if self.needs_batch:
            batch = _check_batch(self.label, batch, "loss" in self.asks_for, device)
        working = working_copy(model, device if self.needs_batch else torch.device("cpu"))
        numbers = self._run(working, stream, batch, loss, inputs)
        if _shapes(working) != _shapes(model):
            raise ValueError(
                f"{self.label} changed which parameters {type(model).__name__} has, or their shapes; it may set values"
            )
        for found in walk(working):
            if not found.tensor.isfinite().all():
                raise ValueError(f"{self.label} left values in {found.name} that are not finite")
        changed = _write_back(working.named_parameters(), dict(model.named_parameters()))
        if not self.needs_batch:
            _write_back(working.named_buffers(), dict(model.named_buffers()))
        return changed, numbers

    def _run(
        self,
        model: nn.Module,
        stream: Callable[[str], Generator],
        batch: Batch | None,
        loss: Loss,
        inputs: Tensor | None,
    ) -> dict[str, float]:
        with global_generator(stream(f"method/{self.label}")):
            asked: dict[str, Any]
            if self.each_module:
                asked = {name: stream("method") for name in self.asks_for}
                for module in model.modules():
                    self.function(module, **asked, **self.parameters)
                return {}
            given: dict[str, Any] = {"batch": batch, "loss": loss, "stream": stream, **self._parts(model, inputs)}
            asked = {name: given[name] for name in self.asks_for}
            return dict(self.function(model, **asked, **self.parameters) or {})

    def _try(self, model: nn.Module, inputs: Tensor | None) -> None:
        try:
            working = working_copy(model, torch.device("cpu"))
            self._run(working, lambda name: Generator(), None, F.cross_entropy, inputs)
        except (TypeError, RuntimeError) as error:  # such as a string given for a number
            reason = str(error).splitlines()[0]
            raise ValueError(f"{self.label} does not work with {self.parameters}: {reason}") from error


def resolve_method(spec: Spec, beside: Iterable[str] = ()) -> Method | None:
    """The method that a spec names, None if it names a scheme. Raises ValueError as `find` does."""
    target = find(spec, beside)
    if target.fills == "tensor":
        return None
    return Method(target.label, target.function, target.parameters, target.asks_for, target.fills == "module")


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


def _check_batch(label: str, batch: Batch | None, needs_targets: bool, device: torch.device) -> Batch:
    if batch is None:
        raise ValueError(f"{label} needs data: initialize(model, {label!r}, batch=(inputs, targets))")
    inputs, targets = batch
    if needs_targets and targets is None:
        raise ValueError(f"{label} needs targets: initialize(model, {label!r}, batch=(inputs, targets))")
    samples = len(inputs) if inputs.dim() else 0
    if samples < 2:
        raise ValueError(f"{label} measures statistics, so its batch must have at least 2 samples, got {samples}")
    if targets is not None and (targets.dim() == 0 or len(targets) != samples):
        raise ValueError(f"{label} was given {samples} inputs and targets of shape {tuple(targets.shape)}")
    if not inputs.isfinite().all():
        raise ValueError(f"{label} was given a batch with values that are not finite")
    if inputs.is_floating_point() and inputs.dtype.itemsize < 4:
        inputs = inputs.float()
    return Batch(inputs.to(device), None if targets is None else targets.to(device))


def working_copy(model: nn.Module, device: torch.device) -> nn.Module:
    """A copy on `device` in training mode: 16-bit tensors as fp32, all parameters trainable, dropout switched off."""
    working = copy.deepcopy(model).to(device)
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
        elif isinstance(module, nn.MultiheadAttention | nn.RNNBase):
            module.dropout = 0.0
    return working


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in model.named_parameters()}


@torch.no_grad()
def _write_back(values: Any, to: dict[str, Tensor]) -> list[str]:
    changed = []
    for name, value in values:
        new = value.to(to[name])
        if not torch.equal(new, to[name]):
            to[name].copy_(new)
            changed.append(name)
    return changed
