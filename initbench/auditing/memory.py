"""Parameters that keep the memory that they were given, whatever was in it."""

from collections.abc import Iterator

import torch

from initbench.auditing.finding import Finding
from initbench.auditing.subject import Subject, tensors_of


def uninitialized(subject: Subject) -> Iterator[Finding]:
    """What nobody wrote while the model was made over poisoned memory."""
    if subject.poisoned is None:
        return
    for name, tensor in tensors_of(subject.poisoned):
        is_untouched = tensor.isnan() if tensor.is_floating_point() else tensor == _largest(tensor.dtype)
        if number := int(is_untouched.sum()):
            yield Finding(
                "error",
                "uninitialized memory",
                name,
                f"{number} of {tensor.numel()} elements keep whatever was in memory before",
                "fill it where it is made, or in reset_parameters() if something calls that",
            )


def _largest(dtype: torch.dtype) -> bool | int:
    return dtype == torch.bool or torch.iinfo(dtype).max
