"""Parameters that keep the memory that they were given, whatever was in it."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject, made, poisoned_memory, tensors_of


def uninitialized(subject: Subject) -> Iterator[Finding]:
    """What nobody wrote while the model was made over poisoned memory."""
    with poisoned_memory():
        model = subject.remade()
    if model is None and (why := subject.only_once):
        subject.only_once = ""
        if subject.remade() is not None:
            reason = f"the model cannot be made over memory that is full of NaN: {why}"
            remedy = "look for a tensor that is read before it is written"
            yield Finding("warning", "uninitialized memory", "", reason, remedy)
    if model is None:
        return
    usual = dict(tensors_of(subject.model))
    for name, tensor in tensors_of(model):
        if number := _untouched(tensor, usual.get(name)):
            yield Finding(
                "error",
                "uninitialized memory",
                name,
                f"{number} of {tensor.numel()} elements keep whatever was in memory before",
                "fill it where it is made, or in reset_parameters() if something calls that",
            )


def not_reset(subject: Subject) -> Iterator[Finding]:
    """What stays empty in a model that is made on the meta device, gets memory by to_empty() and resets its layers.

    This is how FSDP makes models that are too large for one device. A model that computes with its weights while it is
    made cannot be made on the meta device, and one with parts from elsewhere is not made there alone: both are left
    alone.
    """
    if subject.make is None or subject.only_once:
        return
    try:
        with torch.device("meta"):
            model = made(subject.make, seed=0)
        if not all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
            return
        with poisoned_memory():
            model.to_empty(device="cpu")
            _reset(model)
    except (Exception, SystemExit):  # what a model does on the meta device is its own matter
        return
    usual = dict((*subject.model.named_parameters(), *subject.model.named_buffers()))
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if _untouched(tensor.detach(), usual.get(name)):
            yield Finding(
                "note",
                "not reset",
                name,
                "made on the meta device, it is still empty after to_empty() and the reset_parameters() of all layers",
                "give its module a reset_parameters() that fills it, if you make the model on the meta device",
            )


@torch.no_grad()
def _reset(model: nn.Module) -> None:
    for module in reversed(list(model.modules())):  # a model's own rule comes last, as it does where it is made
        for method in ("reset_parameters", "_reset_parameters", "init_weights"):
            if callable(reset := getattr(module, method, None)):
                reset()


def _untouched(tensor: Tensor, usual: Tensor | None) -> int:
    """How many elements are what poisoned memory is full of, and are something else in usual memory."""
    is_poison = _is_poison(tensor)
    if usual is not None and usual.shape == tensor.shape:
        is_poison &= ~_is_poison(usual.detach()).to(tensor.device)
    return int(is_poison.sum())


def _is_poison(tensor: Tensor) -> Tensor:
    is_real = tensor.is_floating_point() or tensor.is_complex()
    return tensor.isnan() if is_real else tensor == _largest(tensor.dtype)


def _largest(dtype: torch.dtype) -> bool | int:
    return dtype == torch.bool or torch.iinfo(dtype).max
