"""Whether runs can be trained as one, as far as what was built of their configs says: see also grouping.py."""

import copy
import re
import warnings

import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd as Dropout

from initbench.packed.forward import Forward, SideBySide, forward_of
from initbench.packed.pack import Pack
from initbench.training.build import Experiment


def obstacle_of(experiment: Experiment) -> str | None:
    """Why a run has to be trained by itself; None where nothing does."""
    if experiment.data.streams:
        return "images that are streamed"
    for module in experiment.learner.model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.momentum is None:
            return "batch norm without momentum"
        if isinstance(module, nn.RNNBase):
            return f"{type(module).__name__}, which cannot be mapped over"
    return None


def forward_for(experiment: Experiment) -> Forward | str:
    """How the replicas of a pack are computed at once; or why they cannot be, in words.

    torch itself says, in a warning, where it would map over replicas in a loop.
    """
    model = experiment.learner.model
    images, labels = experiment.data.fixed_batch(next(model.parameters()).device)
    forward = forward_of(model, images[:2])
    if isinstance(forward, SideBySide):
        return forward
    if any(isinstance(module, Dropout) and module.p > 0 for module in model.modules()):
        return "dropout in a model that has to be mapped over"
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=r".*performance drop.*")
            pack = Pack([copy.deepcopy(model)], forward, [_no_steps], _no_schedule, seeds=[0])
            pack.backward(images[None, :2], labels[None, :2])
            pack.evaluate(images[:2], labels[:2], at_once=2)
    except (UserWarning, RuntimeError, NotImplementedError) as obstacle:
        return f"torch does not map over {_operation(str(obstacle))}"
    finally:
        torch.set_warn_always(always)
    return forward


def _no_steps(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.0)


def _no_schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


def _operation(message: str) -> str:
    found = re.search(r"aten::\w+", message)
    return found.group() if found else message.split("\n")[0]
