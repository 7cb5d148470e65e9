"""A scheme: one in-place function and its parameters, and the ways a config may spell one.

The function's contract is `function(tensor, layer, generator, **parameters)`: fill `tensor`, a contiguous
fp32 CPU tensor of shape `layer.shape`, with numbers drawn from `generator`.

The files of conf/init/ are the registry: the name "orthogonal" means the `_target_` and the keys of
conf/init/orthogonal.yaml.
"""

import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from torch import Generator, Tensor

from initbench import CONF
from initbench.errors import unknown
from initbench.init.layer import Layer
from initbench.init.own import default_

Spec = float | str | Mapping[str, Any]
"""A number (a constant), the name of an initializer, or a mapping {name or _target_, **parameters}."""


@dataclass(frozen=True)
class Scheme:
    label: str
    function: Callable[..., None]
    parameters: dict[str, Any]

    def __call__(self, tensor: Tensor, layer: Layer, generator: Generator) -> None:
        self.function(tensor, layer, generator, **self.parameters)

    @property
    def is_default(self) -> bool:
        """Whether this is the control, which fills a parameter as a whole and not block by block."""
        return self.function is default_


def resolve(spec: Spec) -> Scheme:
    """The scheme that a config value means. Raises ValueError for unknown names, targets and parameters."""
    if isinstance(spec, int | float):
        return _scheme(str(spec), "initbench.init.constant_", {"value": float(spec)})
    if isinstance(spec, str):
        spec = {"name": spec}
    if not isinstance(spec, Mapping):
        raise ValueError(f"{spec!r} is no initializer: give a number, a name or a mapping with a name")
    parameters = dict(spec)
    name = parameters.pop("name", None)
    if "_target_" not in parameters:
        if name is None:
            raise ValueError(f"{dict(spec)!r} names no initializer: add name: or _target_:")
        parameters = {**_defaults(name), **parameters}
    target = parameters.pop("_target_")
    return _scheme(name or target, target, parameters)


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


@cache
def _option(name: str) -> dict[str, Any]:
    return read_option(name)


def _defaults(name: str) -> dict[str, Any]:
    """The scheme part of an option's file: without its name and its policies for other roles."""
    from initbench.init.initializer import POLICIES  # the one import that would be circular

    return {key: value for key, value in _option(name).items() if key not in ("name", "rules", *POLICIES)}


def _scheme(label: str, target: str, parameters: dict[str, Any]) -> Scheme:
    try:
        function = pkgutil.resolve_name(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"cannot import the initializer {target!r}: {error}") from error
    if not callable(function):
        raise ValueError(f"{target!r} is a {type(function).__name__}, not a function")
    signature = inspect.signature(function).parameters
    allowed = list(signature)[3:]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.values())
    for key in parameters:
        if key not in allowed and not takes_any:
            raise unknown(f"parameter of {label}", key, allowed or ["none"])
    return Scheme(label, function, parameters)
