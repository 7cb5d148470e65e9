"""A table of scores from elsewhere, one row per run, as the frame that a comparison needs."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from initbench.analysis.loading.frame import add_learned, with_failures
from initbench.errors import nearest
from initbench.metric import LARGEST, Metric
from initbench.wording import visible

_FAILED = ("", "nan", "na", "n/a", "null", "none")  # what files hold instead of a score if a run failed
_ROUNDED = 1e-9  # computed shares may lie outside 0 to 1 by this much
# The columns that only runs of initbench have.
_TEXT = ("study", "model", "data", "optimizer", "reason", "setting", "signature", "path", "started_at", "finished_at")
_ABOUT = ("host", "processor", "device", "torch", "commit", "command", "run_command", "workload_config", "seeds")
_NUMBERS = ("lr", "budget", "selection_score", "steps_seen", "seconds_seen", "seconds_init", "seconds_train")
_COUNTS = ("resumed", "replicas", "val_every_n_steps")


def from_table(
    table: pd.DataFrame,
    metric: Metric,
    *,
    score: Hashable = None,
    init: Hashable = "init",
    workload: Sequence[Hashable] = (),
    seed: Hashable = "seed",
) -> pd.DataFrame:
    """The runs of a long table: one row per run, with the columns that `loading.frame.to_frame` makes.

    score (metric.name unless given), init, workload and seed are names of columns. Runs that agree in all `workload`
    columns are compared with each other; runs with the same seed are paired. White space and control characters in
    names count as single spaces.

    A score that is missing, NaN, infinite on the bad side or beyond 1e50 there marks a run that failed: it counts as
    `metric.chance` or, if that is None or better, as the worst score of its workload. Without a chance level, an
    initializer with no score at all on a workload has none there.

    Raises ValueError, in one line, for a column that is missing or named twice, a score that is not a number, is
    infinite on the good side or, if a share, not within 0 to 1; an initializer, workload or seed that is empty; a run
    that is there twice; and a table without rows.
    """
    if twice := [str(name) for name in table.columns[table.columns.duplicated()]]:
        raise ValueError(f"the table has several columns named {twice[0]!r}")
    if not table.index.is_unique:
        table = table.reset_index(drop=True)
    of_score, *keys = (
        _column(table, name) for name in (metric.name if score is None else score, init, *workload, seed)
    )
    for at, name in enumerate(keys):
        if name in (of_score, *keys[:at]):
            raise ValueError(f"column {name!r} is named for two purposes")
    if table.empty:
        raise ValueError("the table has no rows")
    values = [_number(value, metric, f"{_row(table, at)}: {metric.name}") for at, value in table[of_score].items()]
    names = pd.DataFrame({column: _names_in(table, column) for column in keys})
    runs = pd.DataFrame(
        {
            "init": names[keys[0]],
            "workload": _workloads(names[keys[1:-1]]),
            "seed": _seeds(names[keys[-1]]),
            "score": values,
        }
    )
    _refuse_twice(runs, table, keys)
    failed = runs["score"].isna()
    chance = math.nan if metric.chance is None else metric.sign * metric.chance
    runs["score"] = with_failures(runs["score"], runs.assign(chance=chance), runs["workload"])
    runs["status"] = ["diverged" if of else "finished" for of in failed]
    runs = runs.assign(chance=chance, metric=metric, workload_id=runs["workload"], is_tuning=False)
    runs = runs.reset_index(drop=True)
    runs = runs.assign(**dict.fromkeys((*_TEXT, *_ABOUT)), **dict.fromkeys((*_NUMBERS, *_COUNTS), math.nan))
    return add_learned(runs, metric)


def _column(table: pd.DataFrame, name: Hashable) -> Hashable:
    """The column with this name; "2" may also stand for the number 2."""
    try:
        if name in table.columns:
            return name
    except TypeError:
        raise ValueError(f"{name!r} cannot be the name of a column") from None
    by_text = {str(column): column for column in table.columns}
    if name is not None and str(name) in by_text:
        return by_text[str(name)]
    near = nearest(str(name), by_text)
    hint = " (are they separated by ';'?)" if len(by_text) == 1 and ";" in next(iter(by_text)) else ""
    columns = _list([_short(column) for column in by_text])
    other = f" Another column is chosen by {name}= or --{name}." if name in ("init", "seed") else ""
    raise ValueError(f"there is no column {name!r}.{near}{other} Columns: {columns}{hint}")


def _number(value: Any, metric: Metric, place: str) -> float:
    """A cell as a score; NaN for a run that failed."""
    if value is None or value is pd.NA or (isinstance(value, str) and value.strip().lower() in _FAILED):
        return math.nan
    try:
        if isinstance(value, bool | np.bool_ | complex | np.complexfloating) or (
            isinstance(value, str) and "_" in value
        ):
            raise TypeError
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        raise ValueError(f"{place} is {_short(repr(value))}, which is not a number") from None
    score = metric.sign * number
    if score > LARGEST:
        direction = "higher" if metric.higher_is_better else "lower"
        raise ValueError(f"{place} is {number}, which cannot be a score if {direction} is better")
    if score < -LARGEST or math.isnan(score):
        return math.nan
    if metric.is_share and not -_ROUNDED <= number <= 1 + _ROUNDED:
        raise ValueError(f"{place} is {number:g}, which is not a share of 0 to 1; for percentages the unit is '%'")
    return metric.sign * min(max(number, 0.0), 1.0) if metric.is_share else score


def _names_in(table: pd.DataFrame, column: Hashable) -> pd.Series:
    """A column of names, each as text on one line."""
    is_missing = table[column].isna()
    names = table[column].astype(object).map(one_line)
    if (empty := is_missing | names.eq("")).any():
        raise ValueError(f"{_row(table, empty.idxmax())}: {column} is empty")
    return names


def one_line(value: object) -> str:
    """A value as text on one line, without control characters."""
    return visible(" ".join("".join(c if c.isprintable() or ord(c) > 0x9F else " " for c in str(value)).split()))


def _short(text: str, most: int = 80) -> str:
    plain = one_line(text)
    return plain if len(plain) <= most else f"{plain[:most]}..."


def _workloads(names: pd.DataFrame) -> pd.Series:
    """Names of workloads, with the names of their columns if they would be ambiguous otherwise."""
    if names.empty:
        return pd.Series("all runs", names.index)
    joined = names.agg(", ".join, axis=1)
    if joined.nunique() == len(names.drop_duplicates()):
        return joined
    return pd.Series(
        [", ".join(f"{key}={value!r}" for key, value in row.items()) for _, row in names.iterrows()], names.index
    )


def _seeds(seeds: pd.Series) -> pd.Series:
    """Seeds as whole numbers if all of them are, so that they sort; otherwise as they are written."""
    numbers = pd.to_numeric(seeds, errors="coerce")
    is_whole = (numbers % 1 == 0) & (numbers.abs() < 2**53)
    return numbers.astype(int) if is_whole.all() else seeds


def _refuse_twice(runs: pd.DataFrame, table: pd.DataFrame, keys: Sequence[Hashable]) -> None:
    parts = ["init", "workload", "seed"]
    twice = runs.duplicated(parts, keep=False)
    if not twice.any():
        return
    first = twice.idxmax()
    same = table.index[(runs[parts] == runs.loc[first, parts]).all(axis=1)]
    what = " ".join(f"{column}={_short(str(table.at[first, column]))}" for column in keys)
    places = _list([_row(table, at) for at in same])
    raise ValueError(f"{what} occurs {len(same)} times ({places}); if the runs differ in a column, name it as workload")


def _row(table: pd.DataFrame, at: Hashable) -> str:
    return f"{one_line(table.index.name or 'row')} {one_line(at)}"


def _list(items: Sequence[object], most: int = 20) -> str:
    shown = ", ".join(map(str, items[:most]))
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
