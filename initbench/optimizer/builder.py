"""Builds the optimizer of a config: weight decay on weights only, settings scaled by role and by initializer."""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from initbench.errors import unknown
from initbench.init.declarations import Factors
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

# From `adaptive`, whether the optimizer normalizes gradients, to the factors for its settings by parameter name: see
# `initbench.init.Initializer.optimizer_factors`.
OptimizerFactors = Callable[[bool], Mapping[str, Factors]]


def build(config: Mapping[str, Any]) -> Callable[..., Optimizer]:
    """A function `make(model, factors, example=None)` that makes the optimizer for a model.

    `factors` are the initializer's, for lr, eps and weight decay. If the class of the optimizer has a function
    `hidden_matrices(model, example)`, as Muon does, the groups of the parameters that it names are `hidden`; the
    function may run the model on `example` to find them.

    `config` has `_target_`, `name`, the arguments of the optimizer, and three keys of ours: `lr`, which the groups
    scale; `decay`, either `weights`, which exempts norms, biases, class tokens and layer scales from weight decay (He
    et al. 2019, "Bag of tricks", section 3.1), or `all`; and `lr_multipliers`, factors for the learning rate by role.
    Every optimizer counts as adaptive unless its name ends in SGD.

    The config's schema has the ranges of these. Raises ValueError for an unknown role, and for an argument that the
    optimizer does not accept. The function raises ValueError for factors on the eps of an adaptive optimizer that has
    none; where the optimizer is not adaptive, they are ignored. It also raises it for factors on hidden matrices.
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
    find_hidden = getattr(target.load("optimizer", settings.get("_target_")), "hidden_matrices", None)

    def make(model: nn.Module, of_initializer: OptimizerFactors, example: Tensor | None = None) -> Optimizer:
        hidden = find_hidden(model, example) if find_hidden else set()
        factors = {found.name: Factors(lr=of_roles.get(found.role, 1.0)) for found in walk(model)}
        for name, factor in of_initializer(adaptive).items():
            if name in hidden and factor.lr != 0 and factor != Factors():  # a rate of 0 fits every optimizer
                raise ValueError(
                    f"the initializer scales lr, eps or weight_decay of {name} for an optimizer such as Adam, which "
                    f"does not fit {settings['name']}: choose another initializer, or optimizer=adamw"
                )
            factors[name] = factor._replace(lr=factors[name].lr * factor.lr)
        groups = parameter_groups(model, settings.get("weight_decay", 0.0), decay, factors, hidden)
        for group in groups:
            group["lr"] = settings["lr"] * group["lr_multiplier"]
        optimizer = target.call("optimizer", settings, params=groups)
        if not isinstance(optimizer, Optimizer):
            made = type(optimizer).__name__
            raise ValueError(f"optimizer {settings['_target_']} made a {made}, not a torch.optim.Optimizer")
        if inspect.unwrap(type(optimizer).step) is inspect.unwrap(Optimizer.step):  # torch wraps each class's
            raise ValueError(f"optimizer {settings['_target_']} has no step of its own")
        for group in optimizer.param_groups:
            if group["eps_multiplier"] != 1 and (adaptive or "eps" in group):
                if not isinstance(group.get("eps"), int | float):
                    raise ValueError(f"the initializer scales eps, and optimizer {settings['_target_']} has none")
                group["eps"] *= group["eps_multiplier"]
        return optimizer

    try:
        # Finds wrong arguments now, before any training. Muon needs a layer between the first and the last one.
        make(nn.Sequential(*(nn.Linear(1, 1) for _ in range(3))), lambda adaptive: {})
    except (RuntimeError, IndexError) as error:
        raise ValueError(f"optimizer {settings.get('_target_')}: {error}") from error
    return make


def parameter_groups(
    model: nn.Module,
    weight_decay: float,
    decay: str,
    factors: Mapping[str, Factors],
    hidden: Collection[str] = (),
) -> list[dict[str, Any]]:
    """Every trainable parameter once, in groups by its factors, whether it is decayed and whether it is `hidden`.

    `factors` are by parameter name, 1 if absent. The groups whose lr has the factor 1 come first, hidden before others.
    """
    about: dict[object, tuple[Factors, bool, bool]] = {}
    for found in walk(model):
        tensors = (
            found.module.parametrizations[found.key].parameters(recurse=False)  # type: ignore[union-attr, index]  # a ModuleDict
            if found.parametrized
            else [found.tensor]
        )
        is_decayed = decay == "all" or found.role in DECAYED
        settings = (factors.get(found.name, Factors()), is_decayed, found.name in hidden)
        about.update({storage_of(tensor): settings for tensor in tensors})
    groups: dict[tuple[Factors, bool, bool], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            groups.setdefault(about[storage_of(parameter)], []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": weight_decay * factor.weight_decay if is_decayed else 0.0,
            "lr_multiplier": factor.lr,
            "eps_multiplier": factor.eps,
            "hidden": is_hidden,
        }
        for (factor, is_decayed, is_hidden), parameters in sorted(
            groups.items(), key=lambda item: (item[0][0].lr != 1.0, not item[0][2], item[0][0], not item[0][1])
        )
    ]
