"""The outputs of all replicas from their stacked parameters: side by side where a model can be, else mapped over."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.modules.dropout import _DropoutNd as Dropout

from initbench.packed.layers import AnyWideDropout, side_by_side

Tensors = dict[str, Tensor]


class SideBySide:
    """Called with stacked parameters and buffers, and images (G, B, C, S, S); returns logits (R, B, classes).

    G divides R: the first R / G replicas see the first batch, and so on. Raises NotImplementedError for a layer that
    has no such form.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = side_by_side(model)
        self.dropouts = [module for module in self.model.modules() if isinstance(module, AnyWideDropout) and module.p]
        has_convolutions = any(isinstance(module, nn.Conv2d) for module in model.modules())
        self.memory_format = torch.channels_last if has_convolutions else torch.contiguous_format

    def __call__(self, parameters: Tensors, buffers: Tensors, images: Tensor) -> Tensor:
        if self.dropouts and len(images) < _replicas(parameters):
            images = images.repeat_interleave(_replicas(parameters) // len(images), 0)
        wide = images.transpose(0, 1).flatten(1, 2)
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

    def __call__(self, parameters: Tensors, buffers: Tensors, images: Tensor) -> Tensor:
        def one(parameters: Tensors, buffers: Tensors, images: Tensor) -> Tensor:
            outputs: Tensor = functional_call(self.model, (parameters, buffers), (images,))
            return outputs

        shared = len(images) == 1
        batches = images[0] if shared else images.repeat_interleave(_replicas(parameters) // len(images), 0)
        logits: Tensor = vmap(one, in_dims=(0, 0, None if shared else 0))(parameters, buffers, batches)
        return logits


Forward = SideBySide | Mapped


def forward_of(model: nn.Module, images: Tensor) -> Forward:
    """Side by side if that gives what the model by itself makes of `images` (B, C, S, S), mapped over otherwise."""
    try:
        wide = SideBySide(model)
    except NotImplementedError:
        return Mapped(model)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.25).add_(0.01)  # whatever mixes channels shows
    same = [agreeing(wide, [model, other], images, training=training) for training in (True, False)]
    return wide if all(map(all, same)) else Mapped(model)


@torch.no_grad()
def agreeing(forward: Forward, models: Sequence[nn.Module], images: Tensor, *, training: bool) -> list[bool]:
    """Of each model, whether all at once compute what it makes of `images` (B, C, S, S) by itself; in float64.

    Dropout is off: on a GPU torch draws its numbers in another way than a pack does.
    """
    twins = [copy.deepcopy(model).double().train(training) for model in models]
    for dropout in (module for twin in twins for module in twin.modules() if isinstance(module, Dropout)):
        dropout.p = 0.0
    parameters, buffers = stack_module_state(twins)
    forward.model.train(training)
    for wide in forward.dropouts:
        wide.eval()
    try:
        found = forward(parameters, buffers, images.double().unsqueeze(0))
        expected = [twin(images.double()) for twin in twins]
    except (RuntimeError, ValueError):  # of shapes
        return [False] * len(models)
    return [
        one.shape == other.shape and torch.allclose(one, other, rtol=1e-6, atol=1e-9, equal_nan=True)
        for one, other in zip(found, expected, strict=True)
    ]


def _replicas(parameters: Tensors) -> int:
    return len(next(iter(parameters.values())))
