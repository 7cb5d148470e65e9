"""The files of packs, `<study>/.packs/`: which runs make which pack, from the moment that it is decided.

A sweep that is typed again makes the same packs, so that their checkpoints fit.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from initbench.record.damage import discard, mapping, read_json, readable, set_aside, wrong
from initbench.record.lock import is_held
from initbench.record.signature import digest
from initbench.record.store import COMPLETE, Store, atomic_write, read_record, writing


def checkpoint_of(folders: Sequence[Path]) -> Path:
    """`<study>/.packs/<digest>.ckpt`, of a pack of these runs in this order; its list of members is beside it."""
    return folders[0].parent / ".packs" / f"{digest({'runs': [folder.name for folder in folders]})}.ckpt"


def write(folders: Sequence[Path], slots: int | None) -> None:
    """`slots`: of the sweep that decides it, as with another number packs would be others; None where none did."""
    content = {"runs": [folder.name for folder in folders], "slots": slots}
    atomic_write(_members(checkpoint_of(folders)), json.dumps(content).encode())


def is_written(folders: Sequence[Path]) -> bool:
    return _members(checkpoint_of(folders)).exists()


def split(folders: Sequence[Path], parts: Sequence[Sequence[Path]]) -> None:
    """These are packs from now on, in the place of the one that was decided; if one was."""
    content = _read(_members(checkpoint_of(folders)))
    if content is not None and [list(part) for part in parts] != [list(folders)]:
        for part in parts:
            if len(part) > 1:
                write(part, content.get("slots"))
        remove(folders)


def remove(folders: Sequence[Path]) -> None:
    """With its checkpoint, if there is one: the pack has ended, or will never be one."""
    _remove(checkpoint_of(folders))


def under_way(runs: Sequence[Store], most: int, slots: int) -> list[list[Store]]:
    """The packs that were decided and have not ended, all of whose runs are among these.

    Those that have no checkpoint yet only if they could be decided now.
    """
    by_name = {run.folder.name: run for run in runs}
    study = runs[0].folder.parent
    if runs[0].typed.force:
        return []
    packs = []
    for path in sorted(study.glob(".packs/*.json")):
        content = _read(path)
        if content is None or not all(name in by_name for name in content["runs"]) or _is_over(study, content):
            continue
        if path.with_suffix(".ckpt").exists() or (content.get("slots") == slots and len(content["runs"]) <= most):
            packs.append([by_name.pop(name) for name in content["runs"]])
    return packs


def clear(study: Path) -> None:
    """Remove the packs that can go on no more: some of their runs have ended, and nobody is about to end the others."""
    for path in study.glob(".packs/*.json"):
        content = _read(path)
        if content is None and os.path.lexists(path):
            with writing(path):
                set_aside(path)
        elif content is not None and _is_over(study, content):
            _remove(path.with_suffix(".ckpt"))


def _is_over(study: Path, content: dict[str, Any]) -> bool:
    folders = [study / name for name in content["runs"]]
    return any(_is_complete(folder) for folder in folders) and not any(is_held(folder) for folder in folders)


def _read(path: Path) -> dict[str, Any] | None:
    """`runs` and `slots`; None where it cannot be read, or another sweep has removed it meanwhile."""
    content: dict[str, Any] | None = readable(read_json, path, _check, "packs are decided without it")
    return content


def _check(content: object) -> None:
    """Raise ValueError for what `write` has not written."""
    runs = mapping(content, "it").get("runs")
    if not isinstance(runs, list) or not runs or not all(isinstance(name, str) for name in runs):
        raise wrong("runs", runs, "a list of names")


def _remove(checkpoint: Path) -> None:
    discard(checkpoint)
    discard(_members(checkpoint))


def _members(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".json")


def _is_complete(folder: Path) -> bool:
    return (readable(read_record, folder) or {}).get("status") in COMPLETE
