"""A last bias from the data, so that the untrained model makes the best prediction that ignores the inputs."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from initbench.init.method import Batch, Loss
from initbench.init.parametrized import write
from initbench.init.place import holds
from initbench.init.roles import NamedParameter, bare_name

_IGNORED = -100  # the class that torch's cross_entropy leaves out


@torch.no_grad()
def class_prior_(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    matrices: Sequence[NamedParameter],
    *,
    pi: float | None = 0.01,
    smoothing: float = 0.5,
) -> dict[str, float]:
    """Set the bias of the last layer to log p_c (softmax), -log((1 - pi) / pi) (sigmoid) or mean(y) (regression).

    The targets and the loss decide which one it is:

    - softmax: the targets are one class for each prediction (at each position of a text or an image), or they are
      probabilities of classes and the loss does not change if the same number is added to all outputs.
      p_c = (n_c + smoothing) / (n + smoothing C), where n_c of n targets are in class c of C, so a class that the batch
      lacks has a finite bias. smoothing = 1/2 is the estimator of Krichevsky & Trofimov, 1 that of Laplace. Targets of
      -100 do not count.
    - sigmoid: the targets are 0 or 1 for each output, and the loss is smaller for large outputs of the right sign than
      for outputs of 0 and 1, as with binary cross-entropy on logits and the focal loss. With pi=None, pi is the share
      of ones in the batch, for each output, smoothed in the same way.
    - regression: any other targets, one number for each output. y is averaged for each unit of the last layer.

    Lin et al. draw the last weight from N(0, 0.01^2), so that the first outputs are almost the bias; here it has the
    policy `weight`. The last layer is the one whose weight the model uses last; it may share this weight with an
    embedding. Returns `steps`, the number of forward passes, and for a softmax `classes_in_batch`.

    Raises ValueError for a last layer without a bias; for one whose bias is not simply added to the outputs (for a
    softmax, a number may be added to all outputs of a prediction, as log_softmax does); for targets that fit none of
    the three; for classes for which the last layer has no output; for a pi outside of (0, 1); and for a smoothing that
    is not positive.

    Source: Lin et al. 2017, section 4.1; Karpathy 2019, A Recipe for Training Neural Networks; Krichevsky & Trofimov
    1981.
    Acts on: the bias of the last layer.
    """
    if (pi is not None and not 0 < pi < 1) or smoothing <= 0:
        raise ValueError(f"pi must be between 0 and 1 and smoothing positive, got pi={pi}, smoothing={smoothing}")
    name, module = _last_layer(model, matrices)
    outputs, moved = _outputs(model, batch.inputs, name, module)
    units, targets = module.bias.numel(), batch.targets
    assert targets is not None  # a method that asks for the loss is not called without targets
    is_integer, numbers = not targets.is_floating_point(), targets.to(outputs.dtype)
    if is_integer and units > 1 and targets.numel() * units == outputs.numel():
        is_softmax = True
    elif targets.numel() == outputs.numel():
        numbers = numbers.reshape(outputs.shape)
        is_softmax = _is_invariant(loss, numbers, targets)
    else:
        raise ValueError(
            "class_prior needs a class for each prediction or a number for each output, got outputs of shape "
            f"{tuple(outputs.shape)} from layer {name} and targets of shape {tuple(targets.shape)}"
        )
    if is_softmax:
        moved = moved - moved.mean(1, keepdim=True)
    if not (moved.abs() <= 0.01 + 1e-4 * outputs.abs().max()).all():  # the bias changed by up to 2
        raise ValueError(
            f"class_prior needs a bias that is added to the outputs, and that of layer {name} is not: something "
            f"follows it in {type(model).__name__}, such as an activation or a norm"
        )
    if is_softmax:
        counts = _counts(targets, units, name) if is_integer else _by_unit(numbers, name, module).double().sum(0)
        write(module, "bias", ((counts + smoothing) / (counts.sum() + smoothing * units)).log())
        return {"steps": 2, "classes_in_batch": int((counts > 0).sum())}
    rows = _by_unit(numbers, name, module).double()
    if not _are_labels(loss, numbers, targets):
        write(module, "bias", rows.mean(0))
    elif pi is None:
        write(module, "bias", ((rows.sum(0) + smoothing) / ((1 - rows).sum(0) + smoothing)).log())
    else:
        write(module, "bias", torch.full_like(module.bias, -math.log((1 - pi) / pi)))
    return {"steps": 2}


def _last_layer(model: nn.Module, matrices: Sequence[NamedParameter]) -> tuple[str, Any]:
    """The layer that uses the last matrix; of layers that share it, the last registered one with a bias.

    Raises ValueError if there is none.
    """
    if not matrices:
        raise ValueError(f"class_prior needs a last layer, and {type(model).__name__} has no weight matrix")
    sharing = [
        (bare_name(model, name) or type(module).__name__, module)
        for name, module in model.named_modules()
        if holds(module, matrices[-1])
    ]
    with_bias = [found for found in sharing if isinstance(getattr(found[1], "bias", None), Tensor)]
    if not with_bias:
        name, module = sharing[-1]
        raise ValueError(
            f"class_prior sets the bias of the last layer, and layer {name}, a {type(module).__name__}, has none"
        )
    return with_bias[-1]


def _outputs(model: nn.Module, inputs: Tensor, name: str, module: Any) -> tuple[Tensor, Tensor]:
    """The outputs; and how much more than the bias they change if it changes, of shape (predictions, units).

    Raises ValueError unless the outputs are one tensor with one bias for each unit.
    """
    outputs = model(inputs)
    if not isinstance(outputs, Tensor):
        raise ValueError(f"class_prior needs a model whose output is one tensor, got a {type(outputs).__name__}")
    bias = module.bias.detach().clone()
    change = torch.linspace(-2, 2, bias.numel()).to(bias)  # of both signs, since behind a ReLU one of them shows
    write(module, "bias", bias + change)
    moved = model(inputs) - outputs
    write(module, "bias", bias)
    return outputs, _by_unit(moved, name, module) - change


def _by_unit(values: Tensor, name: str, module: Any) -> Tensor:
    """Values in the shape of the model's outputs as (predictions, units of the last layer)."""
    units = module.bias.numel()
    if isinstance(module, _ConvNd) and values.dim() > 1 and values.shape[1] == units:
        return values.movedim(1, -1).flatten(0, -2)
    if values.dim() > 1 and values.shape[-1] == units:
        return values.flatten(0, -2)
    if values.numel() == len(values) * units:  # folded to an image, or without the axis of a single unit
        return values.reshape(len(values), units)
    raise ValueError(
        f"class_prior needs one bias for each output, and layer {name} has {units}, with outputs of shape "
        f"{tuple(values.shape)}"
    )


def _counts(targets: Tensor, units: int, name: str) -> Tensor:
    classes = targets.flatten().long()
    classes = classes[classes != _IGNORED]
    unknown = classes[(classes < 0) | (classes >= units)]
    if len(unknown):
        raise ValueError(f"class_prior was given class {int(unknown[0])}, and layer {name} has {units} outputs")
    return torch.bincount(classes, minlength=units).double()


def _is_invariant(loss: Loss, numbers: Tensor, targets: Tensor) -> bool:
    """Whether the loss is the same for all outputs that are equal to each other, as with a softmax.

    `numbers` are the targets in the shape and type of the outputs.
    """
    # Far from all targets, no other loss is the same on both sides and at 0.
    far = 10 * (1 + float(numbers.abs().max()))
    at_zero, *others = (loss(torch.full_like(numbers, value), targets) for value in (0.0, far, -far))
    return all(torch.allclose(at_zero, other, rtol=1e-4, atol=1e-6) for other in others)


def _are_labels(loss: Loss, numbers: Tensor, targets: Tensor) -> bool:
    """Whether targets are 0 or 1, and large outputs of the right sign have a smaller loss than outputs of 0 and 1."""
    if not ((numbers == 0) | (numbers == 1)).all():
        return False
    return bool(loss(20 * (2 * numbers - 1), targets) < loss(numbers, targets))
