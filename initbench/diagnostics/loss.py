"""The loss that `diagnose` differentiates: what is right for the outputs, and what it is at chance."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

Loss = Callable[[Any, Tensor], Tensor]

_IGNORED = -100  # F.cross_entropy's own default
_YOURS = "pass your own, as in diagnose(model, batch, loss=torch.nn.functional.mse_loss)"


def class_dim(outputs: Tensor, targets: Tensor) -> int | None:
    """The dimension of `outputs` that holds the classes, by the shape of `targets`; None if no dimension fits.

    Class numbers (N, ...) fit logits (N, classes, ...), torch's own layout, and (N, ..., classes), that of sequence
    models. If both fit, as when a sequence is as long as there are classes, it is torch's.
    """
    if outputs.dim() < 2:
        return None
    if targets.shape == (outputs.shape[0], *outputs.shape[2:]):
        return 1
    return outputs.dim() - 1 if targets.shape == outputs.shape[:-1] else None


def cross_entropy(outputs: Any, targets: Tensor) -> Tensor:
    """F.cross_entropy of logits (N, classes, ...) or (N, ..., classes); `class_dim` says which.

    targets: class numbers (N, ...), among which -100 is ignored, or probabilities in the shape of the logits. Raises
    ValueError for anything else, and where the loss would be the same whatever the outputs.
    """
    if not isinstance(outputs, Tensor):
        raise ValueError(f"the default loss, cross_entropy, needs one tensor, got a {type(outputs).__name__}: {_YOURS}")
    got = f"outputs of shape {tuple(outputs.shape)} and {targets.dtype} targets of shape {tuple(targets.shape)}"
    if targets.is_floating_point():
        dim = _probability_dim(outputs, targets)
        wanted = "class numbers or probabilities"
    else:
        dim = class_dim(outputs, targets)
        wanted = "logits (N, classes, ...) or (N, ..., classes) and class numbers (N, ...)"
    if dim is None or outputs.shape[dim] < 2:
        raise ValueError(f"the default loss, cross_entropy, needs {wanted} of two classes or more, got {got}: {_YOURS}")
    if targets.is_floating_point():
        return F.cross_entropy(outputs.movedim(dim, 1), targets.movedim(dim, 1).to(outputs.dtype))
    known, classes = targets[targets != _IGNORED], outputs.shape[dim]
    if len(known) == 0:
        raise ValueError(f"every target is {_IGNORED}, which cross_entropy ignores")
    if not 0 <= int(known.min()) <= int(known.max()) < classes:
        raise ValueError(
            f"targets must be class numbers from 0 to {classes - 1}, or {_IGNORED} to be ignored, "
            f"got {int(known.min())} to {int(known.max())} for {got}"
        )
    return F.cross_entropy(outputs.movedim(dim, 1), targets.long())


def ln_classes(outputs: Any, targets: Tensor, loss: Loss) -> float:
    """The loss of a network that gives every class the same probability; NaN if `loss` is no mean cross-entropy.

    A loss above it means that the outputs are confidently wrong; at step 0, that the last layer is too large.
    """
    if not isinstance(outputs, Tensor) or outputs.dim() < 2:
        return math.nan
    likely = class_dim(outputs, targets)
    for dim in (1, -1) if likely is None else (likely,):
        chance = math.log(outputs.shape[dim])
        # The logarithms of equal probabilities: right for cross_entropy and for nll_loss.
        uniform = torch.full_like(outputs, -chance, requires_grad=False)
        try:
            with torch.no_grad():
                value = float(loss(uniform, targets))
        except Exception:  # a loss of one's own may need more of the outputs
            return math.nan
        if chance > 0 and math.isclose(value, chance, rel_tol=1e-4):
            return chance
    return math.nan


def _probability_dim(outputs: Tensor, targets: Tensor) -> int | None:
    """1 or the last: where `targets` are probabilities, summing to 1."""
    if targets.shape != outputs.shape or outputs.dim() < 2 or bool((targets < 0).any()):
        return None
    for dim in (1, outputs.dim() - 1):
        total = targets.sum(dim)
        if torch.allclose(total, torch.ones_like(total), atol=1e-2):
            return dim
    return None
