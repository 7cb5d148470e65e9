"""The outputs of all replicas from their stacked parameters: side by side where a model can be, else mapped over."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules.dropout import _DropoutNd as Dropout

from initbench.packed.layers import AnyWideDropout, side_by_side

Tensors = dict[str, Tensor]


class SideBySide:
    """Called with stacked parameters and buffers, and inputs (G, B, ...); returns outputs (R, B, classes).

    G divides R: the first R / G replicas see the first batch, and so on. Raises NotImplementedError for a layer that
    has no such form.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = side_by_side(model)
        self.dropouts = [module for module in self.model.modules() if isinstance(module, AnyWideDropout) and module.p]
        has_convolutions = any(isinstance(module, nn.Conv2d) for module in model.modules())
        self.memory_format = torch.channels_last if has_convolutions else torch.contiguous_format

    def __call__(self, parameters: Tensors, buffers: Tensors, inputs: Tensor) -> Tensor:
        if self.dropouts and len(inputs) < _replicas(parameters):
            inputs = inputs.repeat_interleave(_replicas(parameters) // len(inputs), 0)
        wide = inputs.transpose(0, 1).flatten(1, 2)
        if wide.shape[1] == 1 and self.memory_format is torch.channels_last:
            # One channel's layout cannot be told: torch would take the plain one for it and for all that follows.
            replicas = _replicas(parameters)
            wide = wide.expand(-1, 2 if replicas % 2 == 0 else replicas, -1, -1)
        wide = wide.contiguous(memory_format=self.memory_format)
        outputs: Tensor = functional_call(self.model, (parameters, buffers), (wide,))  # (B, R*classes)
        return outputs.unflatten(1, (_replicas(parameters), -1)).transpose(0, 1)


class Mapped:
    """The same by torch.func.vmap: for whatever torch has a rule for."""

    def __init__(self, model: nn.Module) -> None:
        self.model = copy.deepcopy(model)
        self.dropouts: list[AnyWideDropout] = []

    def __call__(self, parameters: Tensors, buffers: Tensors, inputs: Tensor) -> Tensor:
        def one(parameters: Tensors, buffers: Tensors, inputs: Tensor) -> Tensor:
            outputs: Tensor = functional_call(self.model, (parameters, buffers), (inputs,))
            return outputs

        shared = len(inputs) == 1
        batches = inputs[0] if shared else inputs.repeat_interleave(_replicas(parameters) // len(inputs), 0)
        # vmap has no rule for the fused kernels of attention, and maps over what they are made of.
        with sdpa_kernel(SDPBackend.MATH):
            outputs: Tensor = vmap(one, in_dims=(0, 0, None if shared else 0))(parameters, buffers, batches)
        return outputs


Forward = SideBySide | Mapped


def forward_of(model: nn.Module, inputs: Tensor) -> Forward:
    """Side by side if that gives what the model by itself makes of `inputs` (B, ...), mapped over otherwise."""
    try:
        wide = SideBySide(model)
    except NotImplementedError:
        return Mapped(model)
    return wide if all(agreeing(wide, [model, model], inputs)) else Mapped(model)


def agreeing(forward: Forward, models: Sequence[nn.Module], inputs: Tensor) -> list[bool]:
    """For each model, whether all at once compute what it makes of `inputs` (B, ...) by itself.

    In float64, training and not, with noise on the weights: a model whose last layer is zero, or whose signal vanishes,
    would say nothing. Dropout is off, as on a GPU torch draws its numbers in another way than a pack does; its
    probabilities are compared.
    """
    wanted = [dropout.p for dropout in _dropouts(forward.model)]
    same = [[dropout.p for dropout in _dropouts(model)] == wanted for model in models]
    twins = [copy.deepcopy(model).double() for model in models]
    generator = torch.Generator().manual_seed(0)
    for twin in twins:
        for dropout in _dropouts(twin):
            dropout.p = 0.0
        for parameter in twin.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter.data.add_(noise.to(parameter.device), alpha=0.01)
    if inputs.is_floating_point():  # tokens are not
        inputs = inputs.double()
    for training in (True, False):
        found, expected = _outputs(forward, twins, inputs, training=training)
        same = [is_same and _is_close(*pair) for is_same, *pair in zip(same, found, expected, strict=True)]
    return same


@torch.no_grad()
def _outputs(
    forward: Forward, models: Sequence[nn.Module], inputs: Tensor, *, training: bool
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """The outputs of all at once, and of each by itself; unequal ones where either cannot be computed."""
    parameters, buffers = stack_module_state([model.train(training) for model in models])
    forward.model.train(training)
    for wide in forward.dropouts:
        wide.eval()
    try:
        return list(forward(parameters, buffers, inputs.unsqueeze(0))), [model(inputs) for model in models]
    except torch.OutOfMemoryError:
        raise  # it says nothing of the models
    except (RuntimeError, ValueError):  # of shapes, or of types
        return [inputs[:0]] * len(models), [inputs] * len(models)


def _dropouts(model: nn.Module) -> list[Dropout]:
    return [module for module in model.modules() if isinstance(module, Dropout)]


def _is_close(one: Tensor, other: Tensor) -> bool:
    """But for the rounding of numbers that are as large as the largest."""
    if one.shape != other.shape:
        return False
    largest = other.abs().nan_to_num(0.0, 0.0, 0.0).max().item()
    return torch.allclose(one, other, rtol=1e-6, atol=1e-9 * largest, equal_nan=True)


def _replicas(parameters: Tensors) -> int:
    return len(next(iter(parameters.values())))
