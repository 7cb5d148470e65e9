"""Adam as gradient descent with a preconditioner and momentum."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Adam


def preconditioner(optimizer: Adam, parameters: Sequence[nn.Parameter], gradients: Sequence[Tensor]) -> Tensor:
    """P = sqrt(v_hat) + eps, (P,), flattened: what Adam and AdamW divide the first moment of the gradient by.

    parameters: the optimizer's own; gradients: with respect to them. v_hat is the optimizer's, corrected for its bias
    (with amsgrad, its maximum). Before the first step there is none: then it is the square of the gradient, as it is
    after a step with this gradient. Where a group has an `lr_multiplier`, P is divided by it, so that steps are those
    of one learning rate for all parameters.

    Raises ValueError for a parameter that the optimizer does not have.
    """
    groups = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    found = []
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if parameter not in groups:
            raise ValueError("the optimizer lacks a parameter of the model that requires a gradient")
        group, state = groups[parameter], optimizer.state.get(parameter)
        if state:
            moment = state.get("max_exp_avg_sq", state["exp_avg_sq"]).to(gradient)
            root = (moment / (1 - float(group["betas"][1]) ** float(state["step"]))).sqrt()
        else:
            root = gradient.detach().abs()
        found.append((root + group["eps"]) / group.get("lr_multiplier", 1.0))
    return torch.cat([one.flatten() for one in found])


def threshold(optimizer: Adam) -> float:
    """What the learning rate times the largest eigenvalue of P^-1/2 H P^-1/2 may be: (2 + 2 b1) / (1 - b1), often 38.

    Above it, Adam with a constant P is unstable on a quadratic. b1: the first of the optimizer's betas.

    Source: Cohen et al. 2022, "Adaptive gradient methods at the edge of stability".
    """
    decay = float(optimizer.param_groups[0]["betas"][0])
    return (2 + 2 * decay) / (1 - decay)
