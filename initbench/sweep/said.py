"""What the end of a sweep said, in `.sweep/said`: if nothing has changed since, it is said again, and the page stays.

To find it out takes seconds, mostly of imports. It is a cache, see `initbench.record.sealed`.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from initbench.console import warn
from initbench.record.damage import Damaged
from initbench.record.index import stamp_of
from initbench.record.plain import Row
from initbench.record.plans import read_plans
from initbench.record.sealed import read_sealed, write_sealed


def question(
    study: Path,
    rows: Sequence[Row],
    damaged: Sequence[Damaged],
    report: Mapping[str, Any] | DictConfig,
    console: Console,
) -> str:
    """A digest of all that the words and the page are made of, and of how the terminal shows words.

    rows, damaged: all records of the study. Raises OSError if a file of a run was removed just now.
    """
    plans = [replace(plan, sweeps=()) for plan in read_plans(study)]  # typing a sweep again adds to `sweeps`
    versions = [version(name) for name in ("numpy", "pandas", "plotly", "scipy")]
    terminal = console.width, console.encoding, console.color_system, console.no_color
    problems = list(map(str, damaged))
    found = blake2b(repr((report["margin"], report["reference"], plans, problems, versions, terminal)).encode())
    for row in rows:
        with os.scandir(row["path"]) as files:  # history, layers, test samples, ...
            stamps = sorted((file.name, stamp_of(file.stat())) for file in files)
        found.update(repr((row, stamps)).encode())
    return found.hexdigest()


def keep(study: Path, question: str, words: str, page: Path) -> None:
    """Keep the words, and which page belongs to them; unless there was a warning, which should be repeated."""
    if not warn.cache_info().currsize:
        write_sealed(_file(study), {"words": words, "page": _digests(page.parent)}, question)


def recall(study: Path, question: str, page: Path) -> str | None:
    """The words; None if they answer another question, or if the page is not the one that was written with them."""
    kept = read_sealed(_file(study), question)
    return None if kept is None or kept["page"] != _digests(page.parent) else str(kept["words"])


def _file(study: Path) -> Path:
    return study / ".sweep" / "said"


def _digests(folder: Path) -> dict[str, str] | None:
    """The digests of the page and of the script that draws its plots; None if one of them is missing."""
    try:
        return {name: blake2b((folder / name).read_bytes()).hexdigest() for name in ("index.html", "plotly.min.js")}
    except OSError:
        return None
