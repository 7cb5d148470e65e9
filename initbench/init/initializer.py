"""The Initializer: which scheme fills which parameter, decided before anything is written."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Generator, Tensor, nn

from initbench.errors import nearest, unknown
from initbench.init.gain import nonlinearity_of
from initbench.init.layer import Layer, describe_layer
from initbench.init.own import reset_of
from initbench.init.roles import ROLES, Found, walk
from initbench.init.scheme import Scheme, Spec, read_option, resolve

POLICIES = tuple(role for role in ROLES if role != "weight")
_LIKE_WEIGHT = ("recurrent_input", "recurrent_hidden", "attention_in")


@dataclass(frozen=True)
class Assignment:
    """One parameter and what fills it. `rule` says why: a role's policy, or the rule that matched."""

    found: Found
    layer: Layer
    scheme: Scheme
    rule: str

    @property
    def kept(self) -> bool:
        """Whether the value stays as built: asked for the module's own, and the module has none."""
        return self.scheme.is_default and reset_of(self.layer.module) is None


class Initializer:
    """A scheme for the weights, a policy for every other role, and rules for single layers.

    `weight`, each policy and each entry of a rule is a number (a constant), the name of an initializer, or
    a mapping {name: orthogonal, gain: 2}. `recurrent_input`, `recurrent_hidden` and `attention_in` follow
    the weights where they are None.

    A rule is {match: pattern, role: scheme, ...}. The pattern is the type of a module (Conv2d) or a glob
    over qualified names of modules or parameters (conv1, layer4.*, *.bias). The first rule that matches a
    parameter and names its role decides.

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
        self.asked = [role for role in _LIKE_WEIGHT if policies[role] is not None]
        for role, spec in policies.items():
            self.schemes[role] = self.schemes["weight"] if spec is None else resolve(spec)
        self.rules = [_rule(rule) for rule in rules]

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Initializer":
        """From the flat form of conf/init/*.yaml: policies and rules by name, the rest is the weights' scheme."""
        shared = {key: value for key, value in config.items() if key in ("rules", *POLICIES)}
        weight = {key: value for key, value in config.items() if key not in shared}
        return cls(weight, **shared)

    def plan(self, model: nn.Module) -> list[Assignment]:
        """Every parameter once, with the scheme that will fill it. Nothing is written.

        Each distinct scheme is rehearsed on the smallest tensor it is meant for, so that a wrong parameter
        or a scheme that is not defined on a shape is a ValueError here and not in the middle of a model.
        """
        nonlinearity = nonlinearity_of(model)
        used: set[tuple[int, str]] = set()
        assignments = []
        for found in walk(model):
            scheme, rule = self._choose(found, used)
            layer = describe_layer(found.name, found.module, found.key, found.tensor, nonlinearity)
            if scheme.is_default:
                layer = replace(layer, shape=tuple(found.tensor.shape), blocks=1, transposed=False)
            assignments.append(Assignment(found, layer, scheme, rule))
            if found.parametrized:
                _check_invertible(found)
        for role in self.asked:
            if all(assignment.found.role != role for assignment in assignments):
                raise ValueError(f"{role} is given, but the model has no parameter of that role")
        self._refuse_idle_rules(model, used)
        _rehearse(assignments)
        return assignments

    def _choose(self, found: Found, used: set[tuple[int, str]]) -> tuple[Scheme, str]:
        for index, (pattern, schemes) in enumerate(self.rules):
            role = "weight" if found.role in _LIKE_WEIGHT and found.role not in schemes else found.role
            if role in schemes and _matches(pattern, found):
                used.add((index, role))
                return schemes[role], f"rule {pattern}"
        return self.schemes[found.role], found.role

    def _refuse_idle_rules(self, model: nn.Module, used: set[tuple[int, str]]) -> None:
        for index, (pattern, schemes) in enumerate(self.rules):
            idle = [role for role in schemes if (index, role) not in used]
            if idle:
                names = [name for name, _ in model.named_modules() if name]
                kinds = sorted({type(module).__name__ for module in model.modules()})
                meant = "" if pattern in names + kinds else nearest(pattern, names + kinds)
                raise ValueError(
                    f"the rule for {pattern!r} matches no {idle[0]} (or an earlier rule took it)."
                    f"{meant} Layers: {_shorten(names)}. Types: {', '.join(kinds)}"
                )


def initialize(model: nn.Module, init: str | Mapping[str, Any], *, seed: int = 0, **overrides: Any) -> nn.Module:
    """Initialize any nn.Module in place and return it: `initialize(model, "orthogonal", seed=0, gain=1)`.

    `init` is the name of a file in conf/init/, or a mapping in the form of such a file; `overrides` change
    its keys, policies and rules included.
    """
    config = read_option(init) if isinstance(init, str) else dict(init)
    fill(Initializer.from_config({**config, **overrides}).plan(model), seed)
    return model


@torch.no_grad()
def fill(assignments: Sequence[Assignment], seed: int) -> None:
    """Write every parameter of a plan, in place.

    Numbers are drawn on the CPU in fp32 and copied to the parameter's device, dtype and memory format, so
    weights do not depend on where the model lives. Each parameter has a stream of its own, from (seed,
    qualified name): adding a layer does not change the others.
    """
    for assignment in assignments:
        if not assignment.kept:
            _write(assignment.found, draw(assignment, stream(seed, assignment.layer.name)))


def stream(seed: int, name: str) -> Generator:
    """The generator of one parameter: the first 8 bytes of SHA-256 over seed and qualified name."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


@torch.no_grad()
def draw(assignment: Assignment, generator: Generator) -> Tensor:
    """The fp32 CPU tensor that will be copied into the parameter."""
    value = torch.empty(assignment.found.tensor.shape, dtype=torch.float32)
    blocks = assignment.layer.to_blocks(value) if value.dim() else [value]
    for block in blocks:
        assignment.scheme(block, assignment.layer, generator)
    if value.dim():
        assignment.layer.from_blocks(blocks, value)
    padding = getattr(assignment.layer.module, "padding_idx", None)
    if assignment.found.role == "embedding" and padding is not None:
        value[padding] = 0  # stands for no word at all; torch keeps it out of training too
    return value


def _check_invertible(found: Found) -> None:
    for parametrization in found.module.parametrizations[found.key]:  # type: ignore[index]  # a ModuleDict, which the checker does not know
        if not hasattr(parametrization, "right_inverse"):
            kind = type(parametrization).__name__
            raise ValueError(f"{found.name} is parametrized by {kind}, which has no right_inverse to set it through")


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


def _matches(pattern: str, found: Found) -> bool:
    return (
        pattern == type(found.module).__name__
        or fnmatchcase(found.module_name, pattern)
        or fnmatchcase(found.name, pattern)
    )


def _rehearse(assignments: list[Assignment]) -> None:
    smallest: dict[tuple[int, int], Assignment] = {}
    for assignment in assignments:
        # A scheme may be defined on matrices and not on kernels, so each number of dimensions counts.
        key = (id(assignment.scheme), len(assignment.layer.shape))
        best = smallest.get(key)
        if best is None or assignment.found.tensor.numel() < best.found.tensor.numel():
            smallest[key] = assignment
    for assignment in smallest.values():
        try:
            draw(assignment, stream(0, "rehearsal"))
        except (TypeError, RuntimeError) as error:  # a word where a number belongs
            scheme, reason = assignment.scheme, str(error).splitlines()[0]
            raise ValueError(f"{scheme.label} does not work with {scheme.parameters}: {reason}") from error


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
