"""Errors of functions and layers as one line that names the layer."""

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

from torch import nn

from initbench.init.copying import kind_of
from initbench.init.roles import bare_name
from initbench.schema.target import line, reason

# What functions raise for a layer or an argument that does not suit them. Anything else is a fault of their own.
UNSUITABLE = (TypeError, RuntimeError, ArithmeticError, AssertionError, AttributeError, IndexError)


def explain(
    error: Exception, label: str, parameters: Mapping[str, Any], model: nn.Module, part: nn.Module | None = None
) -> ValueError:
    """The error for a method that failed on a model, or on `part` of it, to be raised by the caller.

    `label` and `parameters` are the method's. The innermost layer whose code was running is named.
    """
    names = {id(module): bare_name(model, name) for name, module in model.named_modules()}
    layer = _running(error.__traceback__, names) or part
    where, said = "" if layer is None else names[id(layer)], line(error)
    if isinstance(error, ValueError):
        is_named = not where or f"layer {where}" in said or f"{where}." in said
        return ValueError(said if is_named else f"layer {where}: {said}")
    if not isinstance(error, UNSUITABLE):
        said = reason(error)
    if layer is None:
        return ValueError(f"{label} does not work with {dict(parameters)}: {said}")
    kind = kind_of(layer).__name__
    return ValueError(f"{label} fails in {f'layer {where}, a {kind}' if where else f'this {kind}'}: {said}")


def is_of_a_layer(error: Exception, model: nn.Module) -> bool:
    """Whether the code of a module of the model was running when an error was raised."""
    return _running(error.__traceback__, {id(module) for module in model.modules()}) is not None


def _running(traceback: TracebackType | None, modules: Collection[int]) -> nn.Module | None:
    """The innermost module, of those with an id in `modules`, whose code was running when an error was raised."""
    found = None
    while traceback is not None:
        owner = traceback.tb_frame.f_locals.get("self")
        found = owner if id(owner) in modules else found
        traceback = traceback.tb_next
    return found
