"""Dead units and saturated entries, by the derivative of the activation module itself."""

import torch
from torch import Tensor, nn

DEAD = 1e-6  # a smaller derivative lets nothing through
SATURATED = 0.05


def derivative(activation: nn.Module, z: Tensor) -> Tensor:
    """phi'(z), entry by entry, in z's shape."""
    z = z.detach().requires_grad_()
    with torch.enable_grad():
        # forward instead of a call, so that hooks do not see it.
        outputs = activation.forward(z)
    return torch.autograd.grad(outputs.sum(), z)[0]


def dead_and_saturated(activation: nn.Module, z: Tensor, unit_dim: int) -> tuple[float, float]:
    """The fraction of units along `unit_dim` with |phi'| < 1e-6 on the whole batch, and of entries with |phi'| < 0.05.

    z: the input of the activation. The inactive half of a ReLU counts as saturated.
    """
    slope = derivative(activation, z).abs()
    most = slope.movedim(unit_dim, 0).flatten(1).amax(dim=1)
    return float((most < DEAD).float().mean()), float((slope < SATURATED).float().mean())
