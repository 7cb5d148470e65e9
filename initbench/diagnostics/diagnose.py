"""One forward and one backward pass at the current weights, and what they show."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils import parametrize

from initbench.diagnostics.chance import ln_classes
from initbench.diagnostics.correlation import cosines, draw_pairs
from initbench.diagnostics.diagnosis import Diagnosis
from initbench.diagnostics.jacobian import keep_statistics, singular_values
from initbench.diagnostics.probe import Reading, read_gradients, watch, weights_of
from initbench.init.method import working_copy


def diagnose(
    model: nn.Module,
    batch: tuple[Tensor, Tensor],
    *,
    loss: Callable[[Any, Tensor], Tensor] = F.cross_entropy,
    seed: int = 0,
) -> Diagnosis:
    """How signal and gradient pass through any nn.Module at its current weights; the model stays as it is.

    batch: (inputs, targets), N samples along the first dimension; loss: maps (outputs, targets) to a scalar; seed:
    chooses the pairs of samples whose correlation is followed.

    It runs on a copy in training mode and in fp32 or more: batch norm uses the statistics of the batch. Dropout and the
    like are off, since this is about the weights and not the noise. Gradients are those of `loss`, so a mean over the
    batch makes them N times smaller than those of a single sample.

    Raises ValueError for a batch without targets or with fewer than two samples. If a model does not have a quantity,
    such as a Jacobian with respect to integers, it is missing, and `Diagnosis.missing` says why.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2 or not all(isinstance(part, Tensor) for part in batch):
        raise ValueError(f"diagnose needs a batch (inputs, targets) of two tensors, got {type(batch).__name__}")
    inputs, targets = batch
    if len(inputs) < 2 or len(inputs) != len(targets):
        raise ValueError(f"diagnose needs targets for two inputs or more, got {len(inputs)} and {len(targets)}")
    first = next(model.parameters())
    with torch.random.fork_rng([first.device] if first.is_cuda else []):
        torch.manual_seed(seed)
        copy = working_copy(model, first.device)
        dtype = next(copy.parameters()).dtype
        inputs = inputs.to(first.device, dtype if inputs.is_floating_point() else None)
        keep_statistics(copy)
        pairs = draw_pairs(len(inputs), seed)
        readings, net = _pass(copy, inputs, targets.to(first.device), loss, pairs)
        net["input_correlation"] = cosines(inputs, len(inputs), pairs)
        missing = {}
        try:
            net["singular_values"] = singular_values(copy, inputs)
        except Exception as error:  # a model may do things that torch's transforms cannot follow
            missing["singular_values"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return Diagnosis(readings, net, missing)


def _pass(
    model: nn.Module, inputs: Tensor, targets: Tensor, loss: Callable[[Any, Tensor], Tensor], pairs: Tensor
) -> tuple[list[Reading], dict[str, Any]]:
    """One forward and one backward pass: the readings of all layers, and the loss."""
    # A parametrized weight is computed at each access; the gradient is with respect to the one that the layer used.
    with torch.enable_grad(), parametrize.cached(), watch(model, len(inputs), pairs) as readings:
        outputs = model(inputs)
        value = loss(outputs, targets)
        weights = weights_of(model, {reading.name for reading in readings})
        flat = [weight for tensors in weights.values() for weight in tensors]
        gradients = torch.autograd.grad(value, flat, allow_unused=True, materialize_grads=True)
    read_gradients(readings, weights, gradients)
    return readings, {"loss": float(value.detach()), "ln_classes": ln_classes(outputs, targets)}
