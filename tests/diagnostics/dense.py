"""Hessians as whole matrices, by torch.func, for models of few parameters."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F  # noqa: N812 - torch's own spelling


def gradient_and_hessian(
    model: nn.Module, batch: tuple[Tensor, Tensor], loss: Callable[[Any, Tensor], Tensor] = F.cross_entropy
) -> tuple[Tensor, Tensor]:
    """(P,) and (P, P) in float64, the parameters in their order in the model."""
    double = {name: parameter.detach().double() for name, parameter in model.named_parameters()}
    buffers = {name: value.double() if value.is_floating_point() else value for name, value in model.named_buffers()}
    inputs, targets = (part.double() if part.is_floating_point() else part for part in batch)
    sizes = [parameter.numel() for parameter in double.values()]

    def value(vector: Tensor) -> Tensor:
        pairs = zip(double.items(), vector.split(sizes), strict=True)
        parameters = {name: part.view_as(parameter) for (name, parameter), part in pairs}
        return loss(functional_call(model, {**parameters, **buffers}, (inputs,)), targets)

    vector = torch.cat([parameter.flatten() for parameter in double.values()])
    return torch.func.grad(value)(vector), torch.func.jacrev(torch.func.grad(value))(vector)


def largest(matrix: Tensor) -> float:
    return float(torch.linalg.eigvalsh(matrix)[-1])
