"""What pydantic finds wrong with a config, in one line each: the key, what is allowed, the value, the nearest match."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from initbench.errors import nearest
from initbench.schema.allowed import is_list, refusal, shorten, values_of, words
from initbench.schema.config import schema_of


def mistakes(config: Mapping[str, Any], overrides: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """The key and the line for each mistake, in the order of the schema. `overrides` are what was typed."""
    try:
        schema_of(config).model_validate(config)
    except ValidationError as error:
        for found in error.errors(include_url=False):
            yield _describe(config, found, overrides)


def key_of(name: str, field: FieldInfo) -> str:
    """What a field is called in YAML."""
    return field.alias or name


def annotation_of(field: FieldInfo) -> Any:
    """The annotation with its range, as it was written."""
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def part_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a mapping with keys of its own."""
    kinds = get_args(field.annotation) or (field.annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _describe(config: Mapping[str, Any], found: Any, overrides: Collection[str]) -> tuple[str, str]:
    if not found["loc"]:  # groups that do not go together
        return "", str(found["ctx"]["error"])
    model: type[BaseModel] = schema_of(config)
    value: Any = config
    path: list[str] = []
    for step in map(str, found["loc"]):
        fields = {key_of(name, field): field for name, field in model.model_fields.items()}
        path.append(step)
        key, where = ".".join(path), ".".join(path[:-1]) or "the config"
        if step not in fields:
            return key, f"unknown key {key}.{nearest(step, fields)} Keys of {where}: {', '.join(fields)}"
        if step not in value:
            return key, f"{key} is missing: add +{key}=... ({words(annotation_of(fields[step])) or 'a mapping'})"
        field, value = fields[step], value[step]
        part = part_of(field)
        if part is None or not isinstance(value, Mapping):
            break
        model = part
    if found["type"] == "value_error":
        reason = str(found["ctx"]["error"])
        return key, f"{key} {reason}, got {shorten(value)}" if reason.startswith("must") else reason
    if part is not None:
        keys = ", ".join(key_of(name, field) for name, field in part.model_fields.items())
        null = " or null" if type(None) in get_args(field.annotation) else ""
        return key, f"{key} must be a mapping with the keys {keys}{null}, got {shorten(value)}"
    if step == "_target_":
        return key, f"{key} must be the dotted name of a function or class, got {shorten(value)}"
    annotation = annotation_of(field)
    for step in found["loc"][len(path) :]:
        items = values_of(annotation)
        if items is None or not isinstance(value, Mapping) or step not in value:
            break
        key, annotation, value = f"{key}.{step}", items, value[step]
    return key, refusal(key, annotation, value) + _hint(key, annotation, value, overrides)


def _allows(annotation: Any, value: object) -> bool:
    try:
        TypeAdapter(annotation, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        return False
    return True


def _hint(key: str, annotation: Any, value: object, overrides: Collection[str]) -> str:
    """What to type instead, where that can be told."""
    given = [line.partition("=")[2] for line in overrides if line.startswith(f"{key}=")]
    typed = given[-1] if given else str(value)  # the last one counts
    if isinstance(value, int | float) and "text" in words(annotation):
        return f". What YAML reads as a number or a switch is a name in quotes: \"{key}='{typed}'\""
    if is_list(annotation) and _allows(annotation, [value]):
        return f". Try '{key}=[{typed}]'"
    if isinstance(value, str) and (ends := re.fullmatch(r"(\d+)\s*(?:-|\.\.|:)\s*(\d+)", value)):
        return f". For a sweep over all of them: -m '{key}=range({ends[1]},{int(ends[2]) + 1})'"
    return ""
