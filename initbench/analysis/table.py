"""Numbers that were made elsewhere, one row per run, as the frame that a comparison is made of."""

import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from initbench.analysis.frame import add_learned
from initbench.errors import nearest
from initbench.metric import Metric

_LARGEST = 1e50  # beyond it a variance overflows
# What only runs that were made here have.
_TEXT = ("study", "model", "data", "optimizer", "reason", "setting", "signature", "path", "started_at", "finished_at")
_ABOUT = ("host", "processor", "device", "torch", "commit", "command", "run_command", "workload_config")
_NUMBERS = ("lr", "budget", "selection_score", "steps_seen", "seconds_seen", "seconds_init", "seconds_train")
_COUNTS = ("resumed", "replicas", "val_every_n_steps")


def from_table(
    table: pd.DataFrame, metric: Metric, *, init: str, workload: Sequence[str] = (), seed: str = "seed"
) -> pd.DataFrame:
    """The runs of a long table: one row per run, with the columns that `initbench.analysis.frame.to_frame` makes.

    metric.name, init, workload and seed are names of columns. Runs that agree in all `workload` columns are compared
    with each other; runs with the same seed are paired.

    A score that is NaN, infinite on the bad side, or beyond 1e50 there, is that of a run that failed: it counts as
    chance or, where `metric.chance` is None, as the worst score of its workload.

    Raises ValueError, in one line, for a column that is missing, a score that is not a number or is infinite on the
    good side, an initializer, workload or seed that is empty, a run that is there twice, and a table without rows.
    """
    if twice := [str(name) for name in table.columns[table.columns.duplicated()]]:
        raise ValueError(f"the table has several columns named {twice[0]!r}")
    if not table.index.is_unique:
        table = table.reset_index(drop=True)
    for name in (metric.name, init, *workload, seed):
        if name not in table:
            raise ValueError(f"there is no column {name!r}.{_nearest(name, table)} Columns: {_names(table.columns)}")
    if table.empty:
        raise ValueError("the table has no rows")
    keys = [init, *workload, seed]
    for column in keys:
        empty = table[column].isna() | table[column].astype(str).str.strip().eq("")
        if empty.any():
            raise ValueError(f"{_row(table, empty.idxmax())}: {column} is empty")
    values = [_number(value, metric, f"{_row(table, at)}: {metric.name}") for at, value in table[metric.name].items()]
    names = table[list(workload)].astype(str).agg(", ".join, axis=1) if workload else "all runs"
    runs = pd.DataFrame(
        {"init": table[init].astype(str), "workload": names, "seed": _seeds(table[seed]), "score": values}
    )
    _refuse_twice(runs, table, keys)
    failed = runs["score"].isna()
    chance = math.nan if metric.chance is None else metric.sign * metric.chance
    worst = runs.groupby("workload")["score"].transform("min")
    runs["score"] = runs["score"].fillna(worst if math.isnan(chance) else chance)
    runs["status"] = ["diverged" if of else "finished" for of in failed]
    runs = runs.assign(chance=chance, workload_id=runs["workload"], is_tuning=False).reset_index(drop=True)
    runs = runs.assign(**dict.fromkeys((*_TEXT, *_ABOUT)), **dict.fromkeys((*_NUMBERS, *_COUNTS), math.nan))
    return add_learned(runs, metric)


def read_table(path: Path) -> pd.DataFrame:
    """A CSV, TSV or parquet file; of CSV and TSV the index is the line number. Raises ValueError, in one line."""
    import pyarrow as pa

    if not path.is_file():
        there = [str(file) for file in path.parent.glob("*") if file.is_file()] if path.parent.is_dir() else []
        raise ValueError(f"there is no file {str(path)!r}.{nearest(str(path), there)}")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        separator = "\t" if path.suffix == ".tsv" else ","
        # As text: a number of 401 digits, say, is for `from_table` to judge.
        table = pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, skipinitialspace=True)
        if not isinstance(table.index, pd.RangeIndex):
            raise ValueError("a line has more cells than the header")
    except (ValueError, OSError, pa.ArrowException) as error:  # pandas's own errors are ValueErrors
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as {path.suffix[1:] or 'CSV'}: {reason}") from error
    return table.set_axis(pd.RangeIndex(2, len(table) + 2, name="line"))


def _number(value: Any, metric: Metric, place: str) -> float:
    """A cell as a score; NaN for that of a run that failed."""
    if isinstance(value, str) and not value.strip():
        return math.nan
    try:
        if isinstance(value, bool | complex):
            raise TypeError
        number = math.nan if value is None or value is pd.NA else float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        raise ValueError(f"{place} is {value!r}, which is not a number") from None
    score = metric.sign * number
    if score > _LARGEST:
        direction = "higher" if metric.higher_is_better else "lower"
        raise ValueError(f"{place} is {number}, which cannot be a score if {direction} is better")
    return math.nan if score < -_LARGEST else score


def _seeds(seeds: pd.Series) -> pd.Series:
    """Whole numbers where all of them are, so that they are in order; else as they are written."""
    numbers = pd.to_numeric(seeds, errors="coerce")
    is_whole = (numbers % 1 == 0) & (numbers.abs() < 2**53)
    return numbers.astype(int) if is_whole.all() else seeds.astype(str)


def _refuse_twice(runs: pd.DataFrame, table: pd.DataFrame, keys: Sequence[str]) -> None:
    twice = runs.duplicated(["init", "workload", "seed"], keep=False)
    if not twice.any():
        return
    first = table[keys].loc[twice.idxmax()]
    same = table.index[(table[list(keys)] == first).all(axis=1)]
    what = " ".join(f"{column}={first[column]}" for column in keys)
    places = _names([_row(table, at) for at in same])
    raise ValueError(f"{what} occurs {len(same)} times ({places}); if the runs differ in a column, name it as workload")


def _row(table: pd.DataFrame, at: Hashable) -> str:
    return f"{table.index.name or 'row'} {at}"


def _nearest(name: str, table: pd.DataFrame) -> str:
    return nearest(name, map(str, table.columns))


def _names(items: Sequence[object] | pd.Index, most: int = 20) -> str:
    shown = ", ".join(map(str, items[:most]))
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
