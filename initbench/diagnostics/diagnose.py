"""One forward and one backward pass at the current weights, and what they show."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils import parametrize

from initbench.diagnostics.correlation import cosines, draw_pairs
from initbench.diagnostics.diagnosis import Diagnosis
from initbench.diagnostics.jacobian import keep_statistics, singular_values
from initbench.diagnostics.loss import Loss, ln_classes
from initbench.diagnostics.prepare import DETACHED, Prepared, outputs_and_loss, prepared
from initbench.diagnostics.probe import Reading, read_gradients, watch, weights_of
from initbench.schema.target import line


def diagnose(
    model: nn.Module,
    batch: tuple[Tensor, Tensor],
    *,
    loss: Loss = F.cross_entropy,
    seed: int = 0,
    jacobian: bool = True,
) -> Diagnosis:
    """How signal and gradient pass through any nn.Module at its current weights; the model stays as it is.

    batch: (inputs, targets), N samples along the first dimension; seed: chooses the pairs of samples whose correlation
    is followed.

    loss: maps (outputs, targets) to a scalar. F.cross_entropy, the default, takes logits (N, classes, ...), and also
    (N, ..., classes) where the shape of the targets (N, ...) says so: images, segmentation and sequences need no loss
    of their own. If both layouts fit, as for a sequence as long as there are classes, it is torch's, (N, classes, ...).
    Regression needs a loss, such as F.mse_loss. `ln_classes` is that of the layout, and NaN for a loss that is no mean
    cross-entropy.

    jacobian: whether to compute its singular values, which takes a backward pass for each output.

    It runs on a copy in training mode and in fp32 or more: batch norm uses the statistics of the batch. Dropout and the
    like are off, since this is about the weights and not the noise. Gradients are those of `loss`, so a mean over the
    batch makes them N times smaller than those of a single sample.

    Raises ValueError for a batch without targets or with fewer than two samples, for outputs and targets that do not
    suit F.cross_entropy, for a model or a loss that fails, and for a loss that is no scalar or does not depend on the
    weights. If a model does not have a quantity, such as the Jacobian and the correlation of inputs that are integers,
    it is missing, and `Diagnosis.missing` says why.
    """
    with prepared("diagnose", model, batch, loss, seed) as look:
        keep_statistics(look.model)
        pairs = draw_pairs(len(look.inputs), seed)
        readings, net, missing = _pass(look, pairs)
        if look.inputs.is_floating_point():
            net["input_correlation"] = cosines(look.inputs, len(look.inputs), pairs)
        else:
            missing["input_correlation"] = (
                f"inputs are {look.inputs.dtype}; a correlation of token ids would mean nothing"
            )
        try:
            net |= {"singular_values": singular_values(look.model, look.inputs)} if jacobian else {}
        except Exception as error:  # a model may do things that torch's transforms cannot follow
            missing["singular_values"] = f"{type(error).__name__}: {line(error)}"
    return Diagnosis(readings, net, missing)


def _pass(look: Prepared, pairs: Tensor) -> tuple[list[Reading], dict[str, Any], dict[str, str]]:
    """One forward and one backward pass: the readings of all layers, the loss, and what is missing."""
    # A parametrized weight is computed at each access; the gradient is with respect to the one that the layer used.
    with torch.enable_grad(), parametrize.cached(), watch(look.model, len(look.inputs), pairs) as readings:
        outputs, value = outputs_and_loss("diagnose", look)
        weights = weights_of(look.model, {reading.name for reading in readings})
        gradients, missing = _gradients(value, weights, outputs)
    read_gradients(readings, weights, gradients)
    net = {"loss": float(value.detach()), "ln_classes": ln_classes(outputs, look.targets, look.loss)}
    if math.isnan(net["loss"]) and isinstance(outputs, Tensor) and outputs.isfinite().all():
        missing["loss"] = "it is nan though the outputs are finite: are all targets ignored?"
    return readings, net, missing


def _gradients(
    value: Tensor, weights: Mapping[str, Sequence[Tensor]], outputs: Any
) -> tuple[dict[str, list[Tensor | None]], dict[str, str]]:
    """The gradient with respect to each weight, None for those that the loss does not depend on; what is missing."""
    flat = [weight for tensors in weights.values() for weight in tensors]
    if not flat:
        raise ValueError("diagnose needs a layer with weights, and none ran")
    ends = [outputs] if isinstance(outputs, Tensor) and outputs.requires_grad else []
    found: Sequence[Tensor | None] = torch.autograd.grad(value, [*flat, *ends], allow_unused=True)
    if all(gradient is None for gradient in found[: len(flat)]):
        raise ValueError(DETACHED)
    remaining = iter(found)
    gradients = {name: [next(remaining) for _ in tensors] for name, tensors in weights.items()}
    missing = {}
    if unused := [name for name, of in gradients.items() if all(gradient is None for gradient in of)]:
        missing["gradients"] = f"the loss does not depend on {', '.join(unused)}"
    if (end := next(remaining, None)) is not None and not end.any():
        missing["gradients"] = "the loss does not change with the outputs, so every gradient is 0"
    return gradients, missing
