"""Names in words for configs: those that read alike are told apart by what differs, keys or source code."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

_ABSENT = object()


def title(model: object, data: object, optimizer: object) -> str:
    """What was trained. A loop or a module of the user's own has its own optimizer, and mostly its own data."""
    if optimizer == "own":
        return str(model) if data == "own" else f"{model} on {data}"
    return f"{model} on {data}, {optimizer}"


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested config with dotted keys."""
    rows: dict[str, Any] = {}
    for key, value in config.items():
        rows |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return rows


def varying(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The keys in which flat configs differ, each with the value of every config that has it."""
    keys = dict.fromkeys(key for config in configs.values() for key in config)
    found = {key: [config.get(key, _ABSENT) for config in configs.values()] for key in keys}
    differ = [key for key, values in found.items() if any(value != values[0] for value in values[1:])]
    return {key: {name: config[key] for name, config in configs.items() if key in config} for key in differ}


def differences(names: Mapping[str, str], configs: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """What has to follow the names of configs so that no two are alike, by their ids; empty where nothing has to."""
    alike = defaultdict(list)
    for key, name in names.items():
        alike[name].append(key)
    found = {}
    for keys in alike.values():
        differing = varying({key: configs[key] for key in keys})
        for key in keys:
            parts = [f", {place}={differing[place][key]}" for place in differing if key in differing[place]]
            found[key] = "".join(parts)
    # 1 and "1" are different configs that print alike.
    number = Counter((names[key], more) for key, more in found.items())
    return {key: f"{more} ({key})" if number[names[key], more] > 1 else more for key, more in found.items()}


def name_versions(initializers: Iterable[tuple[str, str | None]]) -> dict[tuple[str, str | None], str]:
    """What to call initializers, given by label and digest of their source (None where that is not the user's own).

    That is the label, with the start of the digest where a label has several: `mine (source 3fa2c1)`.
    """
    versions = set(initializers)
    number = Counter(label for label, _ in versions)
    return {
        (label, source): f"{label} (source {source[:6]})" if source and number[label] > 1 else label
        for label, source in versions
    }
