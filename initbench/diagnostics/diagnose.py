"""One forward and one backward at the present weights, and what they show."""

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
    """How signal and gradient pass through any nn.Module at its present weights; the model stays as it is.

    `batch` is (inputs, targets), N samples along the first dimension; `loss` maps (outputs, targets) to a scalar;
    `seed` chooses the pairs whose correlation is followed.

    It runs on a copy in training mode and in fp32 or more: batch norm uses the batch's statistics. Dropout and its
    like are off, since the weights are in question and not the noise. Gradients are those of `loss` as it is, so a
    mean over the batch makes them N times smaller than a sample's own.

    Raises ValueError for a batch without targets or with fewer than two samples. What a model cannot give (a Jacobian
    of integers) is missing, and `Diagnosis.missing` says why.
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
        except Exception as error:  # a model of one's own may do what no transform of torch follows
            missing["singular_values"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    return Diagnosis(readings, net, missing)


def _pass(
    model: nn.Module, inputs: Tensor, targets: Tensor, loss: Callable[[Any, Tensor], Tensor], pairs: Tensor
) -> tuple[list[Reading], dict[str, Any]]:
    """Once forward and once back."""
    # A parametrized weight is computed at each access: the one that the layer used is the one to differentiate by.
    with torch.enable_grad(), parametrize.cached(), watch(model, len(inputs), pairs) as readings:
        outputs = model(inputs)
        value = loss(outputs, targets)
        weights = weights_of(model, {reading.name for reading in readings})
        flat = [weight for tensors in weights.values() for weight in tensors]
        gradients = torch.autograd.grad(value, flat, allow_unused=True, materialize_grads=True)
    read_gradients(readings, weights, gradients)
    return readings, {"loss": float(value.detach()), "ln_classes": ln_classes(outputs, targets)}
