"""Builds the optimizer of a config: weight decay on weights only, learning rates scaled by role and initializer."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from initbench.errors import unknown
from initbench.init.memory import storage_of
from initbench.init.roles import ROLES, walk
from initbench.schema import target
from initbench.schema.ranges import Fraction, HalfOpenFraction, NonNegativeFloat

# The roles that `decay: weights` decays.
DECAYED = ("weight", "recurrent_input", "recurrent_hidden", "attention_in", "embedding")

# What the arguments of torch's optimizers may be; their annotations have no ranges.
_RANGES: dict[str, Any] = {
    "alpha": NonNegativeFloat,
    "betas": tuple[HalfOpenFraction, HalfOpenFraction],
    "eps": NonNegativeFloat,
    "lr_decay": NonNegativeFloat,
    "momentum": NonNegativeFloat,
    "momentum_decay": NonNegativeFloat,
    "rho": Fraction,
}

# From `adaptive`, whether the optimizer normalizes gradients, to the factors for learning rates by parameter name, if
# they are not 1: see `initbench.init.Initializer.learning_rates`.
LearningRates = Callable[[bool], Mapping[str, float]]


def build(config: Mapping[str, Any]) -> Callable[[nn.Module, LearningRates], Optimizer]:
    """A function that makes the optimizer for a model, given its initializer's factors for learning rates.

    `config` has `_target_`, `name`, the arguments of the optimizer, and three keys of ours: `lr`, which the groups
    scale; `decay`, either `weights`, which exempts norms, biases, class tokens and layer scales from weight decay (He
    et al. 2019, "Bag of tricks", section 3.1), or `all`; and `lr_multipliers`, factors for the learning rate by role.
    Every optimizer counts as adaptive unless its name ends in SGD.

    The config's schema has the ranges of these. Raises ValueError for an unknown role, and for an argument that the
    optimizer does not accept.
    """
    settings = dict(config)
    decay = settings.pop("decay", "weights")
    of_roles = settings.pop("lr_multipliers", None) or {}
    for role in of_roles:
        if role not in ROLES:
            raise unknown("role in optimizer.lr_multipliers", role, ROLES)
    adaptive = not str(settings.get("_target_")).endswith("SGD")
    if str(settings.get("_target_")).startswith("torch.optim."):
        for key in _RANGES.keys() & settings.keys():
            target.check_value(f"optimizer.{key}", _RANGES[key], settings[key])

    def make(model: nn.Module, learning_rates: LearningRates) -> Optimizer:
        multipliers = {found.name: of_roles.get(found.role, 1.0) for found in walk(model)}
        for name, multiplier in learning_rates(adaptive).items():
            multipliers[name] *= multiplier
        groups = parameter_groups(model, settings.get("weight_decay", 0.0), decay, multipliers)
        for group in groups:
            group["lr"] = settings["lr"] * group["lr_multiplier"]
        optimizer = target.call("optimizer", settings, params=groups)
        if not isinstance(optimizer, Optimizer):
            made = type(optimizer).__name__
            raise ValueError(f"optimizer {settings['_target_']} made a {made}, not a torch.optim.Optimizer")
        if inspect.unwrap(type(optimizer).step) is inspect.unwrap(Optimizer.step):  # torch wraps each class's
            raise ValueError(f"optimizer {settings['_target_']} has no step of its own")
        return optimizer

    try:
        make(nn.Linear(1, 1), lambda adaptive: {})  # finds wrong arguments now, before any training
    except (RuntimeError, IndexError) as error:
        raise ValueError(f"optimizer {settings.get('_target_')}: {error}") from error
    return make


def parameter_groups(
    model: nn.Module, weight_decay: float, decay: str, multipliers: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Every trainable parameter once, in groups by learning-rate multiplier and by whether it is decayed.

    `multipliers` are by parameter name, 1 if absent. The groups with multiplier 1 come first, decayed before others.
    """
    about: dict[object, tuple[float, bool]] = {}
    for found in walk(model):
        tensors = (
            found.module.parametrizations[found.key].parameters(recurse=False)  # type: ignore[union-attr, index]  # a ModuleDict
            if found.parametrized
            else [found.tensor]
        )
        is_decayed = decay == "all" or found.role in DECAYED
        settings = (multipliers.get(found.name, 1.0), is_decayed)
        about.update({storage_of(tensor): settings for tensor in tensors})
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault(about[storage_of(parameter)], []).append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if is_decayed else 0.0, "lr_multiplier": multiplier}
        for (multiplier, is_decayed), parameters in sorted(
            groups.items(), key=lambda item: (item[0][0] != 1.0, item[0][0], not item[0][1])
        )
    ]
