"""What an annotation allows, in words, and the one line for a value that it does not allow.

The same words are in error messages and in docs/reference/config.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen

from initbench.errors import nearest

_WORDS = {int: ("a whole number", "whole numbers"), float: ("a number", "numbers"), str: ("text", "texts")}
_LONGEST = 60  # characters of a value that an error repeats


def words(annotation: Any) -> str:
    """`a whole number of at least 1 or null`; empty where the annotation says nothing about values of a config."""
    *first, last = _alternatives(annotation) or [""]
    return f"{', '.join(first)} or {last}" if first else last


def choices(annotation: Any) -> list[str]:
    """The words of a closed list, such as those of Literal; empty where other values are allowed as well."""
    members = [member for member in _members(annotation) if member is not NoneType]
    if all(get_origin(member) is Literal for member in members):
        return [str(choice) for member in members for choice in get_args(member)]
    return []


def refusal(key: str, annotation: Any, value: object) -> str:
    """The line for a value that `annotation` does not allow: the key, what is allowed, the value, the nearest match."""
    listed = [
        str(choice) for member in _members(annotation) if get_origin(member) is Literal for choice in get_args(member)
    ]
    near = nearest(value, listed) if isinstance(value, str) else ""
    if isinstance(value, str) and (allowed := choices(annotation)):
        return f"unknown {key} {shorten(value)}.{near} Allowed: {', '.join(allowed)}"
    return f"{key} must be {words(annotation)}, got {shorten(value)}{'.' if near else ''}{near}"


def shorten(value: object) -> str:
    """The value as Python writes it, in one line and cut where it is long."""
    text = repr(value).replace("\n", " ")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def is_list(annotation: Any) -> bool:
    """Whether a list is allowed."""
    return any(_is_sequence(member) for member in _members(annotation))


def values_of(annotation: Any) -> Any:
    """The annotation of a mapping's values; None where no mapping is allowed, or one of any values."""
    kinds = [get_args(member) for member in _members(annotation) if get_origin(member) in (dict, Mapping)]
    return next((values for _, values in kinds if values is not Any), None)


def _alternatives(annotation: Any, *, plural: bool = False) -> list[str]:
    found = [text for member in _members(annotation) for text in _simple(member, plural=plural)]
    return list(dict.fromkeys(found))


def _simple(annotation: Any, *, plural: bool) -> Iterator[str]:
    """The words for an annotation that is no union."""
    kind: Any = annotation
    metadata: list[Any] = []
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
    if kind is NoneType:
        yield "null"
    elif kind is bool:
        yield from ("true", "false")
    elif kind in _WORDS:
        empty = " that is not empty" if any(isinstance(bound, MinLen) for bound in metadata) else ""
        yield _WORDS[kind][plural] + _range(metadata) + empty
    elif get_origin(kind) is Literal:
        yield from map(str, get_args(kind))
    elif _is_sequence(kind):
        of = [text for part in get_args(kind)[:1] for text in _alternatives(part, plural=True)]
        number = next((f"{bound.min_length} " for bound in metadata if isinstance(bound, Len)), "")
        if any(isinstance(bound, MinLen) for bound in metadata):
            number = "at least 1 "
        if get_origin(kind) is tuple and ... not in get_args(kind):
            number = f"{len(get_args(kind))} "
        yield ("lists" if plural else "a list") + (f" of {number}{' or '.join(of)}" if of else "")
    elif kind is dict or get_origin(kind) in (dict, Mapping):
        yield "mappings" if plural else "a mapping"


def _members(annotation: Any) -> Iterable[Any]:
    """The members of a union, however deep; what is Annotated as a whole passes it on to each."""
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    if get_origin(annotation) is Annotated and get_origin(get_args(annotation)[0]) in (Union, UnionType):
        return _members(get_args(annotation)[0])
    return [annotation]


def _is_sequence(kind: Any) -> bool:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind in (list, tuple) or get_origin(kind) in (list, tuple, Sequence)


def _range(metadata: Iterable[Any]) -> str:
    low: tuple[str, Any] | None = None
    high: tuple[str, Any] | None = None
    for part in (inner for outer in metadata for inner in getattr(outer, "metadata", [outer])):
        if isinstance(part, Ge | Gt):
            low = ("[", part.ge) if isinstance(part, Ge) else ("(", part.gt)
        elif isinstance(part, Le | Lt):
            high = ("]", part.le) if isinstance(part, Le) else (")", part.lt)
    if low and high:
        return f" in {low[0]}{_number(low[1])}, {_number(high[1])}{high[0]}"
    if low:
        return f" {'of at least' if low[0] == '[' else 'above'} {_number(low[1])}"
    if high:
        return f" {'of at most' if high[0] == ']' else 'below'} {_number(high[1])}"
    return ""


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
