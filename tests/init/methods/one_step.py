"""How far one step of SGD goes."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling


def change_by_one_step(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """|F(x, theta - step) - F(x, theta)|, where the step is 1e-4 times the gradient of the cross-entropy."""
    before = model(images)
    F.cross_entropy(before, labels).backward()
    stepped = copy.deepcopy(model)
    for old, new in zip(model.parameters(), stepped.parameters(), strict=True):
        if old.grad is not None:
            new.data -= 1e-4 * old.grad
    with torch.no_grad():
        return float((stepped(images) - before).norm())
