"""Runs of a Weights & Biases project that initbench did not make, as a table of scores."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from initbench.console import console
from initbench.errors import nearest
from initbench.wandb_client import Unavailable, connected, split_path
from initbench.wording import count

_ENDED = ("finished", "crashed", "failed", "killed")
_ABSENT = object()


def wandb_table(
    path: str, filters: Mapping[str, Any] | None, *, score: str, init: str, seed: str, workload: Sequence[str]
) -> pd.DataFrame:
    """One row per run of "entity/project" that has ended, with the columns score, init, seed, workload, id and state.

    init, seed and workload are keys of the runs' configs, score is a key of their summaries; dots lead into nested
    ones: "model.name", "val_loss.min". A run that crashed or never logged the score has NaN and counts as failed. Runs
    that lack one of the keys are skipped, and a line says how many.

    Raises ValueError, in one line, if no run has one of the keys or the score, and as `load_wandb` does.
    """
    split_path(path)
    with connected() as api:
        try:
            runs = [run for run in api.runs(path, dict(filters or {})) if run.state in _ENDED]
            found = [(run.id, run.state, dict(run.config), dict(run.summary_metrics)) for run in runs]
        except ValueError as error:
            raise Unavailable(f"there is no project {path!r}, or your API key may not read it") from error
    for key in (init, seed, *workload):
        _check(key, [config for _, _, config, _ in found], "config", path)
    _check(score, [summary for _, _, _, summary in found], "summary", path)
    rows = []
    for run_id, state, config, summary in found:
        keys = {key: _look_up(config, key) for key in (init, *workload, seed)}
        if _ABSENT not in keys.values():
            value = _look_up(summary, score) if state == "finished" else _ABSENT
            rows.append({**keys, score: math.nan if value is _ABSENT else value, "id": run_id, "state": state})
    if len(rows) < len(found):
        absent = ", ".join((init, *workload, seed))
        skipped = (
            f"skipped {len(found) - len(rows)} of {count(len(found), 'run')} of {path}, which lack one of {absent}"
        )
        console.print(skipped, markup=False, soft_wrap=True)
    return pd.DataFrame(rows)


def _look_up(content: Mapping[str, Any], key: str) -> Any:
    """The value of a key, which may contain dots or be a path; _ABSENT if there is none."""
    if key in content:
        return content[key]
    for at in (place for place, letter in enumerate(key) if letter == "."):
        inner = content.get(key[:at])
        if isinstance(inner, Mapping) and (found := _look_up(inner, key[at + 1 :])) is not _ABSENT:
            return found
    return _ABSENT


def _check(key: str, contents: Sequence[Mapping[str, Any]], what: str, path: str) -> None:
    if contents and all(_look_up(content, key) is _ABSENT for content in contents):
        known = sorted({name for content in contents for name in _names(content)})
        shown = ", ".join(known[:30])
        raise ValueError(f"no run of {path} has {key!r} in its {what}.{nearest(key, known)} Keys: {shown}")
    if not contents:
        raise ValueError(f"no run of {path} that matches the filters has ended")


def _names(content: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in content.items():
        if not str(name).startswith("_"):
            inner = _names(value, f"{prefix}{name}.") if isinstance(value, Mapping) else []
            found += inner or [f"{prefix}{name}"]
    return found
