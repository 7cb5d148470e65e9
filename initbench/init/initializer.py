"""The Initializer: decides which scheme fills which parameter, before anything is written."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.errors import nearest, unknown
from initbench.init.ambient import plain_torch
from initbench.init.assignment import Assignment, Stream, check_fillable, fill, may_fail_halfway, stream, try_schemes
from initbench.init.copying import kind_of
from initbench.init.declarations import Factors
from initbench.init.hugging_face import resets_of
from initbench.init.layer import describe_layer
from initbench.init.memory import check_overlap, restored_on_failure
from initbench.init.method import Batch, Loss, Method, as_batch, resolve_method
from initbench.init.nonlinearity import nonlinearity_of
from initbench.init.outcome import Outcome, Plan
from initbench.init.place import POSITIONS, Place, holds, matrix_at
from initbench.init.roles import MATRICES, ROLES, NamedParameter, bare_name, unwrap, walk
from initbench.init.scheme import SHARED, Scheme, Spec, find, options, read_option, resolve
from initbench.init.structure.parts import Parts

# What has parameters of a role, for the messages about rules that nobody typed.
_PARTS = {role: f"layers with a {role}" for role in ROLES} | dict.fromkeys(
    ("recurrent_input", "recurrent_hidden"), "recurrent layers"
)


class Initializer:
    """A scheme for the weights, a policy for every other role, rules for single layers, and optionally a method.

    `weight`, each policy and each entry of a rule is a number (a constant), the name of an initializer, a
    mapping {name: orthogonal, gain: 2}, or a function. A policy of None treats the role like the weights.

    A rule is {match: pattern, role: scheme, ...}. The pattern is the type of a module (Conv2d), a glob over
    qualified names of modules or parameters (conv1, layer4.*, *.bias), or `first` or `last`: the weight matrix
    that the model uses first or last (in registration order if the model cannot be run), with the bias and what else
    its module holds. The first rule that matches a parameter and names its role is used.

    `method` then changes the model as a whole (LSUV, Fixup, ...).

    Raises ValueError for unknown names, parameters and roles.
    """

    def __init__(
        self,
        weight: Spec,
        *,
        bias: Spec = 0,
        norm_scale: Spec = 1,
        norm_shift: Spec = 0,
        embedding: Spec = "default",
        other: Spec = "default",
        recurrent_input: Spec | None = None,
        recurrent_hidden: Spec | None = None,
        attention_in: Spec | None = None,
        rules: Sequence[Mapping[str, Any]] = (),
        method: Method | None = None,
    ) -> None:
        policies = {
            "bias": bias,
            "norm_scale": norm_scale,
            "norm_shift": norm_shift,
            "embedding": embedding,
            "other": other,
            "recurrent_input": recurrent_input,
            "recurrent_hidden": recurrent_hidden,
            "attention_in": attention_in,
        }
        self.schemes = {"weight": resolve(weight)}
        self.asked = [role for role in MATRICES[1:] if policies[role] is not None]
        for role, spec in policies.items():
            self.schemes[role] = self.schemes["weight"] if spec is None else resolve(spec)
        if not isinstance(rules, Sequence) or not all(isinstance(rule, Mapping) for rule in rules):
            raise ValueError(f"rules must be a list of mappings, [{{match: conv1, weight: orthogonal}}], got {rules!r}")
        self.rules = [_rule(rule) for rule in rules]
        self.method = method
        self.owner = ""  # the option whose rules these are, if nobody typed them

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Initializer":
        """Build an initializer from the flat form of conf/init/*.yaml.

        The keys in `scheme.SHARED` are `weight`, the policies and the rules. The other keys describe a scheme, which
        fills the weights, or a method, which starts from `weight` (by default each module's own initialization).

        Raises ValueError for unknown keys, names and targets, and for `weight` together with a scheme.
        """
        shared = {key: value for key, value in config.items() if key in SHARED}
        own = {key: value for key, value in config.items() if key not in SHARED}
        if "_target_" not in own and "weight" in shared:
            if unused := [key for key in own if key != "name"]:
                raise unknown(f"key of {own.get('name', 'this initializer')}", unused[0], SHARED)
            built = cls(**shared)
        elif (method := resolve_method(own, SHARED, shared)) is not None:
            built = cls(**{"weight": "default", **shared}, method=method)
        elif "weight" in shared:
            raise ValueError(f"{find(own).label} is itself what fills the weights, so weight= has no meaning")
        else:
            built = cls(own, **shared)
        name = own.get("name")
        if built.rules and name in options() and read_option(name).get("rules") == shared["rules"]:
            built.owner = name
        return built

    def __repr__(self) -> str:
        parts = [f"{role}={scheme.label}" for role, scheme in self.schemes.items()]
        parts += [f"rule {pattern}" for pattern, _ in self.rules]
        return f"Initializer({', '.join([*parts, *([] if self.method is None else [self.method.label])])})"

    @property
    def needs_batch(self) -> bool:
        """Whether `apply` needs a batch of data."""
        return self.method is not None and self.method.needs_batch

    @property
    def scales_optimizer(self) -> bool:
        """Whether factors for the optimizer belong to the initializer, as to muP: see `optimizer_factors`."""
        return hasattr(self._filler.function, "optimizer_rule")

    @property
    def _filler(self) -> Method | Scheme:
        """What sets the weights in the end."""
        return self.method or self.schemes["weight"]

    def apply(
        self,
        model: nn.Module,
        *,
        seed: int,
        batch: Batch | None = None,
        loss: Loss = F.cross_entropy,
        example: Tensor | None = None,
    ) -> Outcome:
        """Initialize the model in place.

        The running statistics of norms become those of a new model, since those of other weights do not fit. `batch`
        and `loss` are passed to the method if it needs them. If residual branches or the order of layers matter, the
        model is run once: on the inputs of the batch, on `example`, or on inputs guessed from its layers.
        Raises ValueError as `plan` does, for a seed that is not an integer, for a batch that is missing or unsuitable,
        and if the method fails. The model is then as before.
        """
        if not isinstance(seed, Integral) or isinstance(seed, bool):  # 1, 1.0 and True would give different streams
            raise ValueError(f"seed must be an integer, got {seed!r}")
        return self.draw(model, partial(stream, seed), batch, loss, example)

    def draw(
        self,
        model: nn.Module,
        stream: Stream,
        batch: Batch | None = None,
        loss: Loss = F.cross_entropy,
        example: Tensor | None = None,
    ) -> Outcome:
        """The same as `apply`, where `stream` instead of a seed gives each parameter its random generator."""
        model = unwrap(model)
        inputs = example if batch is None else batch.inputs
        assignments = self._assign(model, inputs)
        may_fail = self.method is not None or any(map(may_fail_halfway, assignments))
        with restored_on_failure(model) if may_fail else nullcontext():
            fill(assignments, stream)
            _reset_running_statistics(model)
            if self.method is None:
                return Outcome(assignments)
            changed, numbers, expected = self.method(model, stream, batch, loss, inputs)
        names = frozenset(bare_name(model, name) for name in changed)
        return Outcome(assignments, self.method.label, names, numbers, expected)

    def optimizer_factors(
        self, model: nn.Module, *, adaptive: bool, example: Tensor | None = None
    ) -> dict[str, Factors]:
        """What the optimizer's lr, eps and weight_decay are multiplied by for each parameter, by its name.

        `adaptive` says whether the optimizer normalizes gradients, as Adam does and SGD does not.
        """
        target = self._filler
        rule = getattr(target.function, "optimizer_rule", None)
        if rule is None:
            return {found.name: Factors() for found in walk(unwrap(model))}
        plan = self.plan(model, example)
        return {a.parameter.name: Factors() for a in plan} | rule(plan, adaptive, **target.parameters)

    def learning_rates(self, model: nn.Module, *, adaptive: bool, example: Tensor | None = None) -> dict[str, float]:
        """The factors of `optimizer_factors` for the learning rate that are not 1 (muP, Fixup).

        Raises ValueError if the initializer has factors for eps or weight_decay too, which would be lost.
        """
        factors = self.optimizer_factors(model, adaptive=adaptive, example=example)
        if any(factor != Factors(lr=factor.lr) for factor in factors.values()):
            name = self._filler.label
            raise ValueError(f"{name} changes eps or weight_decay too: use initbench.optimizer_factors")
        return {name: factor.lr for name, factor in factors.items() if factor.lr != 1}

    def plan(self, model: nn.Module, example: Tensor | None = None) -> Plan:
        """Every parameter once, with the scheme that will fill it. Nothing is written.

        `example` are inputs to run the model on, as in `apply`.

        Each scheme is tried on the smallest parameter of each kind of shape assigned to it, so a wrong argument, or a
        shape on which the scheme is not defined, raises ValueError here and not halfway through a model. Also raises
        ValueError for a role or a rule that matches no parameter.
        """
        model = unwrap(model)
        assignments = self._assign(model, example)
        with plain_torch():
            if self.method is not None:
                self.method.check(model, example)
            try_schemes(assignments, partial(stream, 0))
        return Plan(assignments, "" if self.method is None else self.method.label)

    @plain_torch()
    def _assign(self, model: nn.Module, inputs: Tensor | None) -> list[Assignment]:
        nonlinearity = nonlinearity_of(model)
        everything = list(walk(model))
        if not everything:
            raise ValueError(f"{type(model).__name__} has no parameters to initialize")
        parts = Parts(model, inputs)
        places = {found.name: Place(found.name, parts) for found in everything if found.role in MATRICES}
        used: set[tuple[int, str]] = set()
        reset_for = resets_of(model)
        assignments = []
        for parameter in everything:
            place = places.get(parameter.name)
            scheme, rule = self._choose(parameter, parts, used)
            layer = describe_layer(
                parameter.name, parameter.module, parameter.key, parameter.tensor, nonlinearity, place
            )
            layer = replace(layer, reset=reset_for(parameter.module_name))
            if scheme.is_default:
                layer = replace(layer, shape=tuple(parameter.tensor.shape), blocks=1, transposed=False)
            assignments.append(Assignment(parameter, layer, scheme, rule))
            check_fillable(assignments[-1])
        check_overlap([(found.name, found.tensor) for found in everything if not found.parametrized])
        for role in self.asked:
            if all(assignment.parameter.role != role for assignment in assignments):
                raise ValueError(f"{role} is given, but the model has no parameter of that role")
        self._check_rules_are_used(parts, used)
        return assignments

    def _choose(self, parameter: NamedParameter, parts: Parts, used: set[tuple[int, str]]) -> tuple[Scheme, str]:
        for index, (pattern, schemes) in enumerate(self.rules):
            role = "weight" if parameter.role in MATRICES and parameter.role not in schemes else parameter.role
            if role in schemes and _matches(pattern, parameter, parts):
                used.add((index, role))
                return schemes[role], f"rule {pattern}"
        return self.schemes[parameter.role], parameter.role

    def _check_rules_are_used(self, parts: Parts, used: set[tuple[int, str]]) -> None:
        model = parts.model
        for index, (pattern, schemes) in enumerate(self.rules):
            unused = [role for role in schemes if (index, role) not in used]
            end = matrix_at(pattern, parts) if unused and pattern in POSITIONS else None
            if end is not None and end.role == "embedding" and unused[0] in MATRICES:
                raise ValueError(
                    f"the rule for 'last' matches no {unused[0]}: the last layer shares its weight with the embedding "
                    f"{end.name}, whose policy is embedding="
                )
            if unused and self.owner:
                kind = type(model).__name__
                if pattern in POSITIONS:
                    raise ValueError(f"{self.owner} needs a first and a last weight matrix, and {kind} has not both")
                raise ValueError(f"{self.owner} needs {_PARTS[unused[0]]} of type {pattern}, and {kind} has none")
            if unused:
                names = [bare_name(model, name) for name, _ in model.named_modules() if name] + list(POSITIONS)
                kinds = sorted({kind_of(module).__name__ for module in model.modules()})
                suggestion = "" if pattern in names + kinds else nearest(pattern, names + kinds)
                raise ValueError(
                    f"the rule for {pattern!r} matches no {unused[0]} (or an earlier rule took it)."
                    f"{suggestion} Layers: {_shorten(names[:-2])}. Types: {', '.join(kinds)}"
                )


def learning_rates(model: nn.Module, init: Spec, *, adaptive: bool, **overrides: Any) -> dict[str, float]:
    """The factors for the learning rates that belong to an initializer (mup, spectral, fixup, ...), by parameter.

    `initialize` sets weights only. Pass these on to the optimizer; parameters that are not listed have the factor 1:

        factors = learning_rates(model, "mup", adaptive=True)
        groups = [{"params": [p], "lr": lr * factors.get(name, 1)} for name, p in model.named_parameters()]
        optimizer = torch.optim.Adam(groups)

    `adaptive` says whether the optimizer normalizes gradients, as Adam does and SGD does not. `init` and `overrides`
    are as in `initialize`. Names are those of the model without wrappers such as torch.compile. Raises ValueError as
    `Initializer` and `Initializer.plan` do, and for an initializer that changes more than learning rates: see
    `optimizer_factors`.
    """
    return initializer(init, **overrides).learning_rates(model, adaptive=adaptive)


def optimizer_factors(model: nn.Module, init: Spec, *, adaptive: bool, **overrides: Any) -> dict[str, Factors]:
    """The factors for lr, eps and weight_decay that belong to an initializer, for every parameter, by its name.

    Unlike `learning_rates`, it also works for initializers that scale eps or weight_decay:

        factors = optimizer_factors(model, "mup", adaptive=True)
        groups = [
            {
                "params": [p],
                "lr": lr * factors[name].lr,
                "eps": eps * factors[name].eps,
                "weight_decay": weight_decay * factors[name].weight_decay,
            }
            for name, p in model.named_parameters()
        ]
        optimizer = torch.optim.AdamW(groups)

    The arguments are those of `learning_rates`. SGD has no eps: leave it out. Raises ValueError as `Initializer` and
    `Initializer.plan` do.
    """
    return initializer(init, **overrides).optimizer_factors(model, adaptive=adaptive)


def initialize(
    model: nn.Module,
    init: Spec,
    *,
    seed: int = 0,
    batch: tuple[Tensor, Tensor] | Tensor | None = None,
    loss: Loss = F.cross_entropy,
    **overrides: Any,
) -> nn.Module:
    """Initialize any nn.Module in place and return it: `initialize(model, "orthogonal", seed=0, gain=1)`.

    `init` is the name of a file in conf/init/, a mapping in the form of such a file, or a function that fills
    one tensor or initializes a model; `overrides` change its keys, policies and rules included.
    `batch`, the inputs (N, ...) or a pair of inputs and targets, and `loss(outputs, targets)` are for methods that
    need data. The running statistics of norms are reset. Some initializers also scale learning rates (mup,
    spectral, fixup, patch_whitening), or eps and weight decay too (complete_p): see `learning_rates` and
    `optimizer_factors`.

    Raises ValueError for an initializer, key or value that does not exist, for a model that lacks what the initializer
    needs, for a rule or a policy that matches no parameter, for a seed that is not an integer, for a batch that is
    missing or unsuitable, and if the initializer fails. The model is then as it was before.
    """
    initializer(init, **overrides).apply(model, seed=seed, batch=as_batch(batch), loss=loss)
    return model


def initializer(init: Spec, **overrides: Any) -> Initializer:
    """The Initializer for a name, a mapping or a function, with `overrides` of its keys. Raises ValueError."""
    if callable(init):
        init = {"_target_": init}
    elif isinstance(init, str):
        init = read_option(init)
    elif not isinstance(init, Mapping):
        raise ValueError(f"{init!r} is no initializer: give a name, a mapping or a function")
    return Initializer.from_config({**init, **overrides})


def _rule(rule: Mapping[str, Any]) -> tuple[str, dict[str, Scheme]]:
    if "match" not in rule:
        raise ValueError(f"the rule {dict(rule)!r} has no match:, the layer name or module type it is for")
    schemes = {}
    for role, spec in rule.items():
        if role != "match":
            if role not in ROLES:
                raise unknown("role in a rule", role, ROLES)
            schemes[role] = resolve(spec)
    if not schemes:
        raise ValueError(f"the rule for {rule['match']!r} says nothing: add weight:, bias: or another role")
    return str(rule["match"]), schemes


def _matches(pattern: str, parameter: NamedParameter, parts: Parts) -> bool:
    if pattern in POSITIONS:
        matrix = matrix_at(pattern, parts)
        if matrix is None or parameter.role in MATRICES:
            return matrix is not None and matrix.name == parameter.name
        return holds(parameter.module, matrix)
    return (
        pattern == kind_of(parameter.module).__name__
        or fnmatchcase(parameter.module_name, pattern)
        or fnmatchcase(parameter.name, pattern)
    )


@torch.no_grad()
def _reset_running_statistics(model: nn.Module) -> None:
    for module in model.modules():
        if callable(reset := getattr(module, "reset_running_stats", None)):
            buffers = list(module.buffers(recurse=False))
            with torch.inference_mode(any(buffer.is_inference() for buffer in buffers)):
                reset()


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
