"""The Initializer: which scheme fills which parameter, decided before anything is written."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from numbers import Integral
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.errors import nearest, unknown
from initbench.init.gain import nonlinearity_of
from initbench.init.layer import Layer, Place, describe_layer
from initbench.init.method import Batch, Loss, Method, as_batch, resolve_method
from initbench.init.roles import MATRICES, ROLES, Found, walk
from initbench.init.scheme import SHARED, Scheme, Spec, find, read_option, resolve
from initbench.init.schemes.own import reset_of

_PLACES = ("first", "last")


@dataclass(frozen=True)
class Assignment:
    """One parameter and what fills it. `rule` says why: a role's policy, or the rule that matched."""

    found: Found
    layer: Layer
    scheme: Scheme
    rule: str

    @property
    def kept(self) -> str:
        """Why the value stays as built; empty where the scheme fills it."""
        tensor = self.found.tensor
        if tensor.numel() == 0:
            return "empty"
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return str(tensor.dtype).removeprefix("torch.")
        # Asked for the module's own, and the module has none.
        return "no reset_parameters" if self.scheme.is_default and reset_of(self.layer.module) is None else ""


@dataclass(frozen=True)
class Outcome:
    """What `Initializer.apply` did: the plan, and what a method changed after it."""

    assignments: list[Assignment]
    method: str = ""
    changed: frozenset[str] = frozenset()  # names as in named_parameters()
    numbers: dict[str, float] = field(default_factory=dict)  # what the method says of its cost and success


class Initializer:
    """A scheme for the weights, a policy for every other role, rules for single layers, and perhaps a method.

    `weight`, each policy and each entry of a rule is a number (a constant), the name of an initializer, a
    mapping {name: orthogonal, gain: 2}, or a function. A policy that is None is as the weights.

    A rule is {match: pattern, role: scheme, ...}. The pattern is the type of a module (Conv2d), a glob over
    qualified names of modules or parameters (conv1, layer4.*, *.bias), or `first` or `last`: the model's
    first and last weight matrix in the order of registration. The first rule that matches a parameter and
    names its role decides.

    `method` treats the whole model after that (LSUV, Fixup, ...).

    Raises ValueError for anything it does not know: names, parameters, roles.
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

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Initializer":
        """From the flat form of conf/init/*.yaml.

        `weight`, policies and rules by name; the rest is a scheme, which then fills the weights, or a method,
        which starts from `weight` (default: each module's own). Without either, `weight` is all there is.
        """
        shared = {key: value for key, value in config.items() if key in SHARED}
        own = {key: value for key, value in config.items() if key not in SHARED}
        if "_target_" not in own and "weight" in shared:
            if unused := [key for key in own if key != "name"]:
                raise unknown(f"key of {own.get('name', 'this initializer')}", unused[0], SHARED)
            return cls(**shared)
        method = resolve_method(own, beside=SHARED)
        if method is not None:
            return cls(**{"weight": "default", **shared}, method=method)
        if "weight" in shared:
            raise ValueError(f"{find(own).label} is itself what fills the weights, so weight= has no meaning")
        return cls(own, **shared)

    @property
    def needs_batch(self) -> bool:
        return self.method is not None and self.method.needs_batch

    def apply(
        self, model: nn.Module, *, seed: int, batch: Batch | None = None, loss: Loss = F.cross_entropy
    ) -> Outcome:
        """Initialize the model in place. Raises ValueError as `plan` does, and for a batch that is missing or unfit."""
        if not isinstance(seed, Integral):  # 1 and 1.0 would be two streams
            raise ValueError(f"seed must be an integer, got {seed!r}")
        assignments = self._assign(model)
        fill(assignments, seed)
        if self.method is None:
            return Outcome(assignments)
        changed, numbers = self.method(model, partial(stream, seed), batch, loss)
        return Outcome(assignments, self.method.label, frozenset(changed), numbers)

    def learning_rates(self, model: nn.Module, *, adaptive: bool) -> dict[str, float]:
        """What each parameter's learning rate is multiplied by, where that is not 1 (muP, Fixup).

        `adaptive`: whether the optimizer normalizes gradients, as Adam does and SGD does not.
        """
        target = self.method or self.schemes["weight"]
        rule = getattr(target.function, "learning_rates", None)
        return {} if rule is None else rule(self.plan(model), adaptive, **target.parameters)

    def plan(self, model: nn.Module) -> list[Assignment]:
        """Every parameter once, with the scheme that will fill it. Nothing is written.

        Each scheme is rehearsed on the smallest parameter of each kind it is meant for, so that a wrong parameter
        or a scheme that is not defined on a shape is a ValueError here and not in the middle of a model.
        """
        assignments = self._assign(model)
        _rehearse(assignments, seed=0)
        return assignments

    def _assign(self, model: nn.Module) -> list[Assignment]:
        nonlinearity = nonlinearity_of(model)
        everything = list(walk(model))
        if not everything:
            raise ValueError(f"{type(model).__name__} has no parameters to initialize")
        matrices = [found.name for found in everything if found.role in MATRICES]
        places = {name: Place(index, len(matrices)) for index, name in enumerate(matrices)}
        used: set[tuple[int, str]] = set()
        assignments = []
        for found in everything:
            place = places.get(found.name)
            scheme, rule = self._choose(found, place, used)
            layer = describe_layer(found.name, found.module, found.key, found.tensor, nonlinearity, place)
            if scheme.is_default:
                layer = replace(layer, shape=tuple(found.tensor.shape), blocks=1, transposed=False)
            assignments.append(Assignment(found, layer, scheme, rule))
            _refuse_unfillable(assignments[-1])
        for role in self.asked:
            if all(assignment.found.role != role for assignment in assignments):
                raise ValueError(f"{role} is given, but the model has no parameter of that role")
        self._refuse_idle_rules(model, used)
        if self.method is not None:
            self.method.check(model)
        return assignments

    def _choose(self, found: Found, place: Place | None, used: set[tuple[int, str]]) -> tuple[Scheme, str]:
        for index, (pattern, schemes) in enumerate(self.rules):
            role = "weight" if found.role in MATRICES and found.role not in schemes else found.role
            if role in schemes and _matches(pattern, found, place):
                used.add((index, role))
                return schemes[role], f"rule {pattern}"
        return self.schemes[found.role], found.role

    def _refuse_idle_rules(self, model: nn.Module, used: set[tuple[int, str]]) -> None:
        for index, (pattern, schemes) in enumerate(self.rules):
            idle = [role for role in schemes if (index, role) not in used]
            if idle:
                names = [name for name, _ in model.named_modules() if name] + list(_PLACES)
                kinds = sorted({type(module).__name__ for module in model.modules()})
                meant = "" if pattern in names + kinds else nearest(pattern, names + kinds)
                raise ValueError(
                    f"the rule for {pattern!r} matches no {idle[0]} (or an earlier rule took it)."
                    f"{meant} Layers: {_shorten(names[:-2])}. Types: {', '.join(kinds)}"
                )


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
    one tensor or treats a model; `overrides` change its keys, policies and rules included.
    `batch`, inputs or (inputs, targets), and `loss` are for the methods that need data.
    """
    initializer(init, **overrides).apply(model, seed=seed, batch=as_batch(batch), loss=loss)
    return model


def initializer(init: Spec, **overrides: Any) -> Initializer:
    """The Initializer of a name, a mapping or a function, with some of its keys changed."""
    if callable(init):
        init = {"_target_": init}
    elif isinstance(init, str):
        init = read_option(init)
    elif not isinstance(init, Mapping):
        raise ValueError(f"{init!r} is no initializer: give a name, a mapping or a function")
    return Initializer.from_config({**init, **overrides})


@torch.no_grad()
def fill(assignments: Sequence[Assignment], seed: int) -> None:
    """Write every parameter of a plan, in place.

    Numbers are drawn on the CPU in fp32 and copied to the parameter's device, dtype and memory format, so
    weights do not depend on where the model lives. Each parameter has a stream of its own, from (seed,
    qualified name): adding a layer does not change the others.
    Raises ValueError, with nothing written, where a scheme does not work on what it is meant for.
    """
    drawn = _rehearse(assignments, seed)
    for assignment in assignments:
        name, tensor = assignment.layer.name, assignment.found.tensor
        if assignment.kept:
            continue
        if name not in drawn and _is_as_drawn(assignment.found):
            draw_(tensor, assignment, stream(seed, name))
            continue
        value = drawn.get(name)
        if value is None:
            value = draw_(torch.empty(tensor.shape, dtype=torch.float32), assignment, stream(seed, name))
        _write(assignment.found, value)


def stream(seed: int, name: str) -> Generator:
    """The generator of one parameter: the first 8 bytes of SHA-256 over seed and qualified name."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@torch.no_grad()
def draw_(value: Tensor, assignment: Assignment, generator: Generator) -> Tensor:
    """Fill a contiguous fp32 CPU tensor of the parameter's shape, block by block."""
    blocks = assignment.layer.to_blocks(value) if value.dim() else [value]
    for block in blocks:
        assignment.scheme(block, assignment.layer, generator)
    if value.dim():
        assignment.layer.from_blocks(blocks, value)
    padding = getattr(assignment.layer.module, "padding_idx", None)
    if assignment.found.role == "embedding" and padding is not None:
        value[padding] = 0  # stands for no word at all; torch keeps it out of training too
    return value


def _is_as_drawn(found: Found) -> bool:
    tensor = found.tensor
    is_plain = tensor.device.type == "cpu" and tensor.dtype == torch.float32 and tensor.is_contiguous()
    return is_plain and not found.parametrized


def _refuse_unfillable(assignment: Assignment) -> None:
    found = assignment.found
    if found.tensor.device.type == "meta":
        raise ValueError(f"{found.name} is on the meta device and has no memory: model.to_empty(device='cpu') first")
    if found.tensor.is_complex() and not assignment.kept:
        raise ValueError(
            f"{found.name} is complex and initializers draw real numbers; keep it as built by a rule with the scheme "
            "default, in a module without reset_parameters"
        )
    if found.parametrized:
        for parametrization in found.module.parametrizations[found.key]:  # type: ignore[index]  # a ModuleDict, which the checker does not know
            if not hasattr(parametrization, "right_inverse"):
                kind = type(parametrization).__name__
                raise ValueError(
                    f"{found.name} is parametrized by {kind}, which has no right_inverse to set it through"
                )


def _write(found: Found, value: Tensor) -> None:
    if not found.parametrized:
        found.tensor.copy_(value)
        return
    try:
        # Assigning runs the parametrization's right_inverse, which fills the originals behind the tensor.
        setattr(found.module, found.key, value.to(found.tensor))
    except (NotImplementedError, ValueError, RuntimeError) as error:
        raise ValueError(f"{found.name} is parametrized and cannot be set through it: {error}") from error


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


def _matches(pattern: str, found: Found, place: Place | None) -> bool:
    if pattern in _PLACES:
        return place is not None and (place.is_first if pattern == "first" else place.is_last)
    return (
        pattern == type(found.module).__name__
        or fnmatchcase(found.module_name, pattern)
        or fnmatchcase(found.name, pattern)
    )


def _rehearse(assignments: Sequence[Assignment], seed: int) -> dict[str, Tensor]:
    """What each scheme draws for the smallest parameter of each kind of shape that it is meant for, by name."""
    smallest: dict[Any, Assignment] = {}
    for assignment in assignments:
        if assignment.kept:
            continue
        # A scheme may be defined on matrices and not on kernels, on tall matrices and not on wide ones.
        shape, groups = assignment.layer.shape, assignment.layer.groups
        tall = len(shape) >= 2 and shape[0] // groups >= shape[1]
        key = (id(assignment.scheme), len(shape), tall, shape[2:])
        best = smallest.get(key)
        if best is None or assignment.found.tensor.numel() < best.found.tensor.numel():
            smallest[key] = assignment
    drawn = {}
    for assignment in smallest.values():
        value = torch.full(assignment.found.tensor.shape, torch.nan, dtype=torch.float32)
        scheme = assignment.scheme
        try:
            draw_(value, assignment, stream(seed, assignment.layer.name))
        except (TypeError, RuntimeError) as error:  # a word where a number belongs
            reason = str(error).splitlines()[0]
            raise ValueError(f"{scheme.label} does not work with {scheme.parameters}: {reason}") from error
        if value.isnan().any() and not scheme.is_default:
            raise ValueError(
                f"{scheme.label} leaves values of {assignment.layer.name} unset, or sets them to nan: it must fill the "
                "whole tensor, whose old values it is not given"
            )
        drawn[assignment.layer.name] = value
    return drawn


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
