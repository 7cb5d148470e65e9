"""The source of the user's own code that a config names: what is edited there makes another run.

A `_target_` counts by the file of the module that it names, byte by byte. Modules of initbench, of the standard
library and of installed packages do not count, and neither does what a module of the user's own imports in turn.
"""

import hashlib
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# The groups whose functions can change the numbers of a run.
_GROUPS = ("init", "model", "data", "task", "optimizer", "scheduler")
_STANDARD_LIBRARY = tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))


def source_digests(config: Mapping[str, Any]) -> dict[str, str]:
    """Ten hex digits for each group of a resolved config that names code of the user's own; without the others."""
    digests = {}
    for group in _GROUPS:
        own = sorted({digest for target in _targets(config.get(group)) if (digest := source_digest(target))})
        if own:
            digests[group] = own[0] if len(own) == 1 else _digest(" ".join(own).encode())
    return digests


def named_sources(config: Mapping[str, Any]) -> dict[str, str | None]:
    """What `source_digest` returns for each `_target_` in a resolved config."""
    return {target: source_digest(target) for group in _GROUPS for target in _targets(config.get(group))}


@cache
def source_digest(target: str) -> str | None:
    """Ten hex digits of the file that defines `target`, "package.module.function"; None unless it is the user's own.

    Nothing is imported. A file is read once per process, as Python loads a module once per process: a process that
    still runs the old code goes on recording its digest after an edit.
    """
    names = target.replace(":", ".").split(".")
    if names[0] == "initbench" or not all(name.isidentifier() for name in names):
        return None
    path = _module_file(names)
    return None if path is None or _is_installed(path) else _digest(path.read_bytes())


def _targets(node: Any) -> Iterator[str]:
    """Every `_target_` in a node at any depth, such as in the rules of an initializer."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _targets(value)


def _module_file(names: Sequence[str]) -> Path | None:
    """The file of the longest part of a dotted name that is a module; None where there is none."""
    try:
        spec = find_spec(names[0])  # of a top-level name, which imports nothing
    except ValueError:  # a module without a spec, such as a script's __main__
        return None
    for name in names[1:]:
        # Name by name in the folders of the package above, since find_spec of a dotted name would import that package.
        folders = spec.submodule_search_locations if spec else None
        found = PathFinder.find_spec(name, folders) if folders else None
        if found is None:
            break
        spec = found
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _is_installed(path: Path) -> bool:
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(path.resolve().is_relative_to(folder) for folder in _STANDARD_LIBRARY)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:10]
