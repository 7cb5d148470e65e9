"""What is looked at: a copy of the model, one batch on its device, and the loss of the copy on this batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.diagnostics.loss import Loss, cross_entropy
from initbench.init.failures import explain
from initbench.init.memory import check_memory
from initbench.init.method import working_copy
from initbench.init.roles import bare_name, unwrap, unwrapped
from initbench.schema.target import line, reason

DETACHED = "the loss does not depend on the weights: is something detached, or computed under no_grad?"


class Prepared(NamedTuple):
    model: nn.Module  # a copy, without wrappers, in training mode and fp32 or more, dropout off
    inputs: Tensor
    targets: Tensor
    loss: Loss


@contextmanager
def prepared(label: str, model: nn.Module, batch: tuple[Tensor, Tensor], loss: Loss, seed: int) -> Iterator[Prepared]:
    """A copy of the model with the batch on its device; torch's random numbers start at `seed` and are put back.

    Raises ValueError, with the `label` of what needs them, for a model without parameters or whose parameters have no
    values, and for a batch without targets or with fewer than two samples.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2 or not all(isinstance(part, Tensor) for part in batch):
        raise ValueError(f"{label} needs a batch (inputs, targets) of two tensors, got {type(batch).__name__}")
    inputs, targets = batch
    inputs_of, targets_of = (len(part) if part.dim() else 0 for part in batch)
    if inputs_of < 2 or inputs_of != targets_of:
        raise ValueError(f"{label} needs targets for two inputs or more, got {inputs_of} and {targets_of}")
    model = unwrap(model)
    first = next(model.parameters(), None)
    if first is None:
        raise ValueError(f"{label} needs weights, and {type(model).__name__} has no parameters")
    for name, parameter in model.named_parameters():
        check_memory(bare_name(model, name), parameter)
    with torch.random.fork_rng([first.device] if first.is_cuda else []):
        torch.manual_seed(seed)
        copy = unwrapped(working_copy(model, first.device, label))
        dtype = next(copy.parameters()).dtype
        inputs = inputs.to(first.device, dtype if inputs.is_floating_point() else None)
        yield Prepared(copy, inputs, targets.to(first.device), cross_entropy if loss is F.cross_entropy else loss)


def outputs_and_loss(label: str, look: Prepared) -> tuple[Any, Tensor]:
    """One forward pass. Raises ValueError if the model or the loss fails, and for a loss without a gradient."""
    try:
        outputs = look.model(look.inputs)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the layers of a model may raise anything
        raise explain(error, label, {}, look.model) from error
    try:
        value = look.loss(outputs, look.targets)
    except Exception as error:  # and so may a loss
        said = line(error) if look.loss is cross_entropy else f"the loss fails: {reason(error)}"
        raise ValueError(said) from error
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"the loss must be a scalar, got a tensor of shape {tuple(value.shape)}")
    if not isinstance(value, Tensor) or not value.requires_grad:
        raise ValueError(DETACHED)
    return outputs, value
