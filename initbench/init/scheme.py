"""A scheme: a function that fills tensors, with its parameters, and the ways to name it in a config.

The name of a function's first argument says what it works on:

- `tensor`: it fills one tensor in place, a contiguous fp32 CPU tensor of shape `layer.shape` (a Scheme).
- `module` or `model`: it is called once for each module, or once for the whole model (a Method, see method.py).

Further arguments with the names in `GIVEN`, such as `layer` and `generator`, are passed to it if it has them; the
others are its parameters. `torch.nn.init.xavier_uniform_` is therefore a scheme as it is.

The files in conf/init/ are the registry: the name "orthogonal" stands for the `_target_` and the keys in
conf/init/orthogonal.yaml.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from torch import Generator, Tensor

from initbench.errors import unknown
from initbench.init.ambient import global_generators
from initbench.init.layer import Layer
from initbench.init.roles import ROLES
from initbench.init.schemes.elementary import constant_
from initbench.init.schemes.own import default_
from initbench.init.structure.parts import PARTS
from initbench.registry import CONF
from initbench.schema.target import check, check_runs, is_ours, load

Spec = float | str | Mapping[str, Any] | Callable[..., Any]
"""A number (a constant), the name of an initializer, a mapping {name or _target_, **parameters}, or a function."""

# Keys that the config of every initializer may have: a scheme for each role, and rules. Other keys are its parameters.
SHARED = (*ROLES, "rules")

GIVEN = {
    "tensor": ("tensor", "layer", "generator"),
    "module": ("module", "generator"),
    "model": ("model", "batch", "loss", "stream", "example", "policies", *PARTS),
}


@dataclass(frozen=True)
class Target:
    """A function with parameters that it is known to accept."""

    label: str
    function: Callable[..., Any]
    parameters: dict[str, Any]
    fills: str  # tensor, module or model
    asks_for: tuple[str, ...]  # the other arguments that are passed to it


@dataclass(frozen=True)
class Scheme:
    """A function that fills one tensor in place, with its parameters."""

    label: str
    function: Callable[..., Any]
    parameters: dict[str, Any]
    asks_for: tuple[str, ...] = ("layer", "generator")

    def __call__(self, tensor: Tensor, layer: Layer, generator: Generator) -> None:
        arguments = {"layer": layer, "generator": generator}
        asked = {name: arguments[name] for name in self.asks_for}
        # A function of others may draw from the global generators too, as torch.nn.init.sparse_ does; a clone seeds
        # these, so that the generator is passed on as it is.
        seeded = generator.clone_state() if "generator" in asked else generator
        memory, shape = tensor.data_ptr(), tensor.shape
        with nullcontext() if is_ours(self.function) else global_generators(seeded):
            result = self.function(tensor, **asked, **self.parameters)
        if tensor.data_ptr() != memory or tensor.shape != shape:
            raise ValueError(f"{self.label} gives the tensor another shape or memory; it must set its values, in place")
        if isinstance(result, Tensor) and result.data_ptr() != memory:
            raise ValueError(f"{self.label} returns a new tensor; it must fill the one that it is given, in place")

    @property
    def is_default(self) -> bool:
        """Whether this is the module's own initialization, which fills a parameter as a whole, not block by block."""
        return self.function is default_


def resolve(spec: Spec) -> Scheme:
    """The scheme for a value in a config. Raises ValueError for unknown names, targets and parameters."""
    target = find(spec)
    if target.fills != "tensor":
        raise ValueError(
            f"{target.label} treats a whole model, so it cannot be the policy of a role, a rule or what another "
            f"initializer starts from: choose it as init={target.label}"
        )
    return Scheme(target.label, target.function, target.parameters, target.asks_for)


def find(spec: Spec, beside: Iterable[str] = ()) -> Target:
    """The function and parameters that a spec names. Raises ValueError for unknown names, targets and parameters.

    `beside` lists the other keys that are allowed, to suggest one for a misspelled key.
    """
    if isinstance(spec, int | float) and not isinstance(spec, bool):
        if not math.isfinite(spec):
            raise ValueError(f"a constant must be a finite number, got {spec}")
        return _target(str(spec), constant_, {"value": float(spec)})
    if isinstance(spec, str):
        spec = {"name": spec}
    elif callable(spec):
        spec = {"_target_": spec}
    if not isinstance(spec, Mapping):
        raise ValueError(f"{spec!r} is no initializer: give a number, a name, a function or a mapping with a name")
    parameters = dict(spec)
    name = parameters.pop("name", None)
    if not isinstance(name, str | None):
        raise ValueError(f"{name!r} is no name of an initializer")
    if "_target_" not in parameters:
        if name is None:
            raise ValueError(f"{dict(spec)!r} names no initializer: add name: or _target_:")
        parameters = {**_defaults(name), **parameters}
    if "_target_" not in parameters:
        raise ValueError(f"{name} is made of rules and policies: choose it as init={name}")
    function = parameters["_target_"]
    own = function if isinstance(function, str) else getattr(function, "__name__", type(function).__name__)
    return _target(name or own, function, parameters, beside)


def read_option(name: str) -> dict[str, Any]:
    """The keys in conf/init/<name>.yaml. Raises ValueError for a name without a file."""
    path = CONF / "init" / f"{name}.yaml"
    if not path.exists():
        raise unknown("initializer", name, options())
    option: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return option


def options() -> list[str]:
    """The names of all initializers, sorted."""
    return sorted(path.stem for path in (CONF / "init").glob("*.yaml"))


@cache
def _option(name: str) -> dict[str, Any]:
    return read_option(name)


def _defaults(name: str) -> dict[str, Any]:
    """The parameters in an option's file, without its name, policies and rules."""
    return {key: value for key, value in _option(name).items() if key not in ("name", *SHARED)}


def _target(label: str, target: Any, parameters: Mapping[str, Any], beside: Iterable[str] = ()) -> Target:
    function = target if callable(target) else load("init", target)
    check_runs(label, function)
    try:
        signature = inspect.signature(function).parameters
    except ValueError as error:  # some builtins have none
        raise ValueError(f"the arguments of {label} cannot be read: {error}") from error
    first = next(iter(signature), "nothing")
    if first not in GIVEN:
        raise ValueError(
            f"{label} takes {first} first; name its first argument tensor (it fills one tensor), module (it is called "
            "for each module) or model (it is called once)"
        )
    given = GIVEN[first]
    parameters = {key: value for key, value in parameters.items() if key not in ("name", "_target_")}
    check(function, parameters, f"{{}} of {label}", [name for name in given if name in signature], beside=list(beside))
    asks_for = tuple(name for name in signature if name in given[1:])
    return Target(label, function, parameters, first, asks_for)
