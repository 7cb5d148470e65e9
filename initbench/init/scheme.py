"""A scheme: one function that fills tensors, its parameters, and the ways a config may spell it.

What a function is for is told by the name of its first argument:

- `tensor`: it fills one tensor in place, a contiguous fp32 CPU tensor of shape `layer.shape` (a Scheme).
- `module` or `model`: it is called once for each module, or once for the whole model (a Method, see method.py).

The other arguments that it asks for by name are given to it, here `layer` and `generator`; what is left is its
parameters. So `torch.nn.init.xavier_uniform_` is a scheme as it stands.

The files of conf/init/ are the registry: the name "orthogonal" means the `_target_` and the keys of
conf/init/orthogonal.yaml.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import yaml
from torch import Generator, Tensor

from initbench import CONF
from initbench.errors import unknown
from initbench.init.layer import Layer
from initbench.init.schemes.elementary import constant_
from initbench.init.schemes.own import default_
from initbench.init.structure import FINDERS
from initbench.target import check, load

Spec = float | str | Mapping[str, Any] | Callable[..., Any]
"""A number (a constant), the name of an initializer, a mapping {name or _target_, **parameters}, or a function."""

GIVEN = {
    "tensor": ("tensor", "layer", "generator"),
    "module": ("module", "generator"),
    "model": ("model", "batch", "loss", "stream", *FINDERS),
}


@dataclass(frozen=True)
class Target:
    """A function with its parameters, both known to fit."""

    label: str
    function: Callable[..., Any]
    parameters: dict[str, Any]
    fills: str  # tensor, module or model
    asks_for: tuple[str, ...]  # the other arguments that are given to it


@dataclass(frozen=True)
class Scheme:
    label: str
    function: Callable[..., Any]
    parameters: dict[str, Any]
    asks_for: tuple[str, ...] = ("layer", "generator")

    def __call__(self, tensor: Tensor, layer: Layer, generator: Generator) -> None:
        arguments = {"layer": layer, "generator": generator}
        asked = {name: arguments[name] for name in self.asks_for}
        with nullcontext() if "generator" in asked else global_generator(generator):
            result = self.function(tensor, **asked, **self.parameters)
        if isinstance(result, Tensor) and result.data_ptr() != tensor.data_ptr():
            raise ValueError(f"{self.label} returns a new tensor; it must fill the one that it is given, in place")

    @property
    def is_default(self) -> bool:
        """Whether this is the control, which fills a parameter as a whole and not block by block."""
        return self.function is default_


def resolve(spec: Spec) -> Scheme:
    """The scheme that a config value means. Raises ValueError for unknown names, targets and parameters."""
    target = find(spec)
    if target.fills != "tensor":
        raise ValueError(
            f"{target.label} treats a whole model, so it cannot be the policy of a role, a rule or what another "
            f"initializer starts from: choose it as init={target.label}"
        )
    return Scheme(target.label, target.function, target.parameters, target.asks_for)


def find(spec: Spec, beside: Iterable[str] = ()) -> Target:
    """What a spec names. Raises ValueError for unknown names, targets and parameters.

    `beside` are the keys that may stand beside the parameters, for the suggestion where one is misspelled.
    """
    if isinstance(spec, int | float) and not isinstance(spec, bool):
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
    """The keys of conf/init/<name>.yaml. Raises ValueError for a name that has no file."""
    path = CONF / "init" / f"{name}.yaml"
    if not path.exists():
        raise unknown("initializer", name, options())
    option: dict[str, Any] = yaml.safe_load(path.read_text())
    return option


def options() -> list[str]:
    """The names of all initializers."""
    return sorted(path.stem for path in (CONF / "init").glob("*.yaml"))


@contextmanager
def global_generator(generator: Generator) -> Iterator[None]:
    """Torch's global CPU generator seeded from `generator`, and put back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        yield


@cache
def _option(name: str) -> dict[str, Any]:
    return read_option(name)


def _defaults(name: str) -> dict[str, Any]:
    """The scheme part of an option's file: without its name and its policies for other roles."""
    from initbench.init.initializer import SHARED  # the one import that would be circular

    return {key: value for key, value in _option(name).items() if key not in ("name", *SHARED)}


def _target(label: str, target: Any, parameters: Mapping[str, Any], beside: Iterable[str] = ()) -> Target:
    function = target if callable(target) else load("init", target)
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
