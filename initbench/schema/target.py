"""The one place where a `_target_` of a config becomes a function, and where its arguments are checked.

Types, ranges and choices are those of the function's own annotations, `depth: Annotated[int, Ge(1)]`: a whole number is
fine where a number is wanted, a list where a tuple is; a bool is no number and text is none. What is not annotated is
not checked: a TypeError of the call becomes one line.

A node is one call. `_target_` nested in its arguments stays a mapping, and Hydra's `_partial_` and `_args_` are
arguments that no function takes.

What a config may import: anything but what runs processes or evaluates text. INITBENCH_TARGETS=initbench,torch,my_lab
in the environment allows these packages alone. Neither makes a config of a stranger safe to run.
"""

import inspect
import os
import pkgutil
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_type_hints

from initbench.errors import nearest
from initbench.schema.allowed import refusal, shorten, words

if TYPE_CHECKING:
    from pydantic import ConfigDict, TypeAdapter

# Packages of the standard library whose functions run processes, evaluate text or load code.
_REFUSED = {
    "builtins", "code", "codeop", "ctypes", "importlib", "marshal", "multiprocessing", "nt", "os", "pdb", "pickle",
    "pkgutil", "posix", "pty", "runpy", "shutil", "signal", "socket", "subprocess", "sys", "timeit", "webbrowser",
}  # fmt: skip  # several values to a line
_DEFERRED = {
    "a coroutine function": inspect.iscoroutinefunction,
    "a generator function": inspect.isgeneratorfunction,
    "an async generator function": inspect.isasyncgenfunction,
}
_LABELS = ("_target_", "name")  # keys of a node that are no arguments


def load(what: str, target: Any) -> Callable[..., Any]:
    """The function or class of a dotted name; `what` is the config's group, for errors.

    Raises ValueError where there is none, and where a config may not import it.
    """
    if not isinstance(target, str):
        raise ValueError(f"{what}._target_ must be the dotted name of a function or class, got {shorten(target)}")
    _refuse(what, target, target)
    try:
        function = pkgutil.resolve_name(target)
    except (Exception, SystemExit) as error:  # a module of the user's own may raise anything
        near = nearest(error.name, dir(error.obj)) if isinstance(error, AttributeError) and error.name else ""
        raise ValueError(
            f"{what}._target_={target!r} cannot be imported: {line(error)}{'.' if near else ''}{near}"
        ) from error
    if not callable(function):
        raise ValueError(f"{what}._target_={target!r} is a {type(function).__name__}, not a function or class")
    check_runs(f"{what}._target_={target!r}", function)
    # By its own name too: modules hand on what they import, and my_lab.os.system is os.system.
    _refuse(what, target, str(getattr(function, "__module__", None) or target))
    return function


def call(what: str, config: Mapping[str, Any], *given: Any, **named: Any) -> Any:
    """What the `_target_` of a config's node returns for the node's other keys and for what is given to it.

    Raises ValueError for a target or arguments that do not fit, and for whatever a function of others raises, with its
    name. A function of ours says by itself what is wrong.
    """
    arguments = {key: value for key, value in config.items() if key not in _LABELS}
    return call_with(what, config.get("_target_"), arguments, *given, **named)


def call_with(what: str, name: Any, arguments: Mapping[str, Any], *given: Any, **named: Any) -> Any:
    """What the function of this dotted name returns for these arguments; raises ValueError as `call` does."""
    function = load(what, name)
    check(function, arguments, f"{what}.{{}}", named, positional=len(given))
    try:
        return function(*given, **arguments, **named)
    except TypeError as error:
        raise ValueError(f"{what} {name}: {line(error)}") from error
    except Exception as error:  # a function of the user's own may raise anything
        if is_ours(function):
            raise
        raise ValueError(f"{what} {name}: {reason(error)}") from error


def check_runs(what: str, function: Callable[..., Any]) -> None:
    """Raise ValueError for a function that does nothing when it is called: it would only make an object that could."""
    called: Any = function if inspect.isclass(function) or inspect.isroutine(function) else type(function).__call__
    for kind, is_of in _DEFERRED.items():
        if is_of(function) or is_of(called):
            raise ValueError(f"{what} is {kind}, which does nothing when it is called; write a plain function")


def is_ours(function: Callable[..., Any]) -> bool:
    """Whether a function is part of initbench, and so raises errors that a user can understand."""
    return str(getattr(function, "__module__", "")).partition(".")[0] == "initbench"


def check_value(key: str, annotation: Any, value: object) -> None:
    """Raise ValueError for a value that `annotation` does not allow; `key` is what it is called in the message."""
    from pydantic import TypeAdapter

    if not _accepts(TypeAdapter(annotation, config=_strict()), value):
        raise ValueError(refusal(key, annotation, value))


def check_node(what: str, config: Mapping[str, Any], given: Collection[str] = (), positional: int = 0) -> None:
    """Raise ValueError unless `call` could be made."""
    arguments = {key: value for key, value in config.items() if key not in _LABELS}
    check(load(what, config.get("_target_")), arguments, f"{what}.{{}}", given, positional=positional)


def check(
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    key: str = "{}",
    given: Collection[str] = (),
    *,
    positional: int = 0,
    beside: Collection[str] = (),
) -> None:
    """Raise ValueError unless the function takes these arguments, beside those that are `given` to it.

    `key` says how an argument is called in a message ("model.{}"), `positional` how many arguments are given by their
    places, `beside` what else may be typed where one is misspelled.
    """
    try:
        parameters = list(inspect.signature(function).parameters.values())[positional:]
    except ValueError:  # some builtins have none
        return
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    named = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    allowed = [name for name in named if name not in given]
    label = getattr(function, "__qualname__", type(function).__name__)
    for name in arguments:
        if name not in allowed and (name in given or not takes_any):
            possible = [*allowed, *beside]
            listed = ", ".join(possible) or "no key"
            raise ValueError(f"unknown key {key.format(name)}.{nearest(str(name), possible)} {label} takes: {listed}")
    for name in allowed:
        if named[name].default is inspect.Parameter.empty and name not in arguments:
            raise ValueError(f"{key.format(name)} is missing: {label} has no default for it")
    if not takes_any and (refused := [name for name in given if name not in named]):
        raise ValueError(f"{label} does not take {refused[0]}, which is given to every {key.format('').rstrip('.')}")
    adapters = _adapters(_annotated(function))
    for name, value in arguments.items():
        is_default = name in named and value is named[name].default  # `size: int = None` of somebody else's
        if name in adapters and not is_default:
            annotation, adapter = adapters[name]
            if not _accepts(adapter, value):
                raise ValueError(refusal(key.format(name), annotation, value))


def parameters(what: str, config: Mapping[str, Any]) -> dict[str, bool]:
    """The named parameters of a node's `_target_`, and whether each must be given.

    Raises ValueError as `load` does.
    """
    try:
        found = inspect.signature(load(what, config.get("_target_"))).parameters.values()
    except ValueError:  # some builtins have none
        return {}
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {one.name: one.default is inspect.Parameter.empty for one in found if one.kind in kinds}


def line(error: BaseException) -> str:
    """The first line of an error's message; torch appends notes to some."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def reason(error: BaseException) -> str:
    """The first line of what a function of the user's own has raised, with its type where that tells something."""
    return line(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {line(error)}"


def _refuse(what: str, target: str, name: str) -> None:
    """Raise ValueError where a config may not import `name`, which is `target` or what that turned out to be."""
    is_other = "" if name == target else f", which is of {name}"
    if name.partition(".")[0] in _REFUSED:
        raise ValueError(f"{what}._target_={target!r}{is_other}: a config may not call {name.partition('.')[0]}")
    if (listed := os.environ.get("INITBENCH_TARGETS")) is None:
        return
    allowed = [prefix.strip() for prefix in listed.split(",") if prefix.strip()]
    if not any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed):
        only = f"allows only {', '.join(allowed)}" if allowed else "is empty and allows nothing; unset it to allow all"
        raise ValueError(f"{what}._target_={target!r}{is_other}: INITBENCH_TARGETS {only}")


def annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations of a function's arguments, as far as they can be evaluated, each by itself."""
    source: Any = inspect.unwrap(_annotated(function))
    found: dict[str, Any] = {}
    for name, hint in getattr(source, "__annotations__", {}).items():
        alone = SimpleNamespace(__annotations__={name: hint})
        with suppress(Exception):  # a name that somebody else imports for his type checker alone
            found |= get_type_hints(alone, getattr(source, "__globals__", {}), include_extras=True)
    return {name: hint for name, hint in found.items() if name != "return"}


def _annotated(function: Callable[..., Any]) -> Any:
    """The function whose annotations tell what to pass: __init__ of a class, __call__ of an object."""
    if inspect.isclass(function):
        return function.__init__
    return function if inspect.isroutine(function) else type(function).__call__


@cache  # tenths of a millisecond each, and every run of a sweep needs some
def _adapters(function: Any) -> "dict[str, tuple[Any, TypeAdapter[Any]]]":
    from pydantic import TypeAdapter  # a tenth of a second, which --help must not cost

    adapters = {}
    for name, annotation in annotations(function).items():
        if words(annotation):
            with suppress(Exception):  # not every annotation of somebody else's means something to pydantic
                adapters[name] = (annotation, TypeAdapter(annotation, config=_strict()))
    return adapters


def _strict() -> "ConfigDict":
    return {"strict": True, "allow_inf_nan": False, "arbitrary_types_allowed": True}


def _accepts(adapter: "TypeAdapter[Any]", value: object) -> bool:
    from pydantic import ValidationError

    for candidate in (value, _tuples(value)):
        try:
            adapter.validate_python(candidate)
        except ValidationError:
            continue
        return True
    return False


def _tuples(value: object) -> object:
    """The same value with tuples for lists, as YAML has no tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
