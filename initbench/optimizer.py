"""From a config and a model to an optimizer, with weight decay on weights only."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from initbench.errors import unknown
from initbench.init.roles import walk
from initbench.instantiate import instantiate

DECAYED = ("weight", "recurrent_input", "recurrent_hidden", "attention_in", "embedding")


def build(config: Mapping[str, Any]) -> Callable[[nn.Module], Optimizer]:
    """A function from a model to its optimizer.

    `decay: weights` spares norms, biases, class tokens and layer scales (the groups of He et al. 2019, "Bag of
    tricks"); `decay: all` spares nothing. Raises ValueError for a negative lr or weight_decay, and for an
    argument that the optimizer does not take.
    """
    settings = dict(config)
    settings.pop("name", None)
    decay = settings.pop("decay", "weights")
    if decay not in ("weights", "all"):
        raise unknown("optimizer.decay", decay, ("weights", "all"))
    for key in ("lr", "weight_decay"):
        value = settings.get(key, 0.0)
        if not isinstance(value, int | float) or not value >= 0:
            raise ValueError(f"optimizer.{key} must be a number of at least 0, got {value!r}")

    def make(model: nn.Module) -> Optimizer:
        groups = parameter_groups(model, settings.get("weight_decay", 0.0), decay)
        optimizer: Optimizer = instantiate("optimizer", settings, params=groups)
        return optimizer

    try:
        make(nn.Linear(1, 1))  # a wrong argument is found here, before any training
    except (RuntimeError, IndexError) as error:
        raise ValueError(f"optimizer {settings.get('_target_')}: {error}") from error
    return make


def parameter_groups(model: nn.Module, weight_decay: float, decay: str) -> list[dict[str, Any]]:
    """Two groups, decayed and not, over every trainable parameter once; empty groups are left out."""
    roles = {}
    for found in walk(model):
        tensors = (
            found.module.parametrizations[found.key].parameters(recurse=False)  # type: ignore[union-attr, index]  # a ModuleDict
            if found.parametrized
            else [found.tensor]
        )
        roles.update({id(tensor): found.role for tensor in tensors})
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.requires_grad:
            is_decayed = decay == "all" or roles[id(parameter)] in DECAYED
            (decayed if is_decayed else spared).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": spared, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
