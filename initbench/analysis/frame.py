"""Records as a pandas frame, one row per run."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from initbench.analysis.workloads import name_workloads
from initbench.errors import nearest
from initbench.metric import ACCURACY, Metric
from initbench.record.damage import Damaged, tell
from initbench.record.flat import flat
from initbench.record.store import read_record, read_table

_TEXT = ["study", "init", "model", "data", "optimizer", "status", "reason", "setting", "signature", "path"]
_ALWAYS = [
    *_TEXT,
    "workload_id",
    "workload_config",
    "started_at",
    "finished_at",
    "lr",
    "seed",
    "budget",
    "tuning_seeds",
    "chance",
]
COLUMNS = {*_ALWAYS, "workload", "score", "selection_score", "is_tuning", "learned"} - {
    "tuning_seeds"
}  # of every frame
_NUMBERS = ["budget", "chance", "steps_seen", "seconds_seen", "seconds_init", "seconds_train"]


def load_runs(folder: str | Path) -> pd.DataFrame:
    """Every run whose record is in a folder below `folder`, at any depth.

    Columns: study, init, model, data, optimizer, lr, seed, budget (in steps), status (finished, diverged, refused,
    failed, interrupted, running), reason, setting (equal for runs that differ only in init and seed), workload (in
    words, equal for runs that differ in learning rate, too), workload_id and workload_config (what they share),
    signature, path, started_at, finished_at; train/loss, val/accuracy, test/accuracy and their like; steps_to_<target>,
    seconds_to_<target>, missing where the target was not reached, and steps_seen, seconds_seen, until when that was
    watched; seconds_init, seconds_train; and what `to_frame` adds. A record that cannot be read is left out, with
    one line on stderr, which is also in the list `frame.attrs["unreadable"]`. Raises ValueError where the
    folder is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        there = [str(path) for path in folder.parent.glob("*") if path.is_dir()] if folder.parent.is_dir() else []
        raise ValueError(f"there is no folder {str(folder)!r}.{nearest(str(folder), there)}")
    records, unreadable = [], []
    for path in sorted(folder.rglob("record.jso[n]")):  # by its plain name a link to nothing would not be found
        try:
            record = read_record(path.parent)
        except Damaged as damaged:
            tell(damaged)
            unreadable.append(str(damaged))
        else:
            records += [] if record is None else [(record, path.parent)]
    runs = to_frame(records)
    runs.attrs["unreadable"] = unreadable
    return runs


def to_frame(records: Iterable[tuple[Mapping[str, Any], Path]], metric: Metric = ACCURACY) -> pd.DataFrame:
    """A row for each record and its folder, with what follows from all of them together.

    score: the metric on the test set, see `initbench.metric`; that of chance for a run that diverged, as its network
    predicts nothing. selection_score: the same on validation. Missing for runs that did not end. is_tuning: its seed
    is used to choose the learning rate, and so it has no score. learned: see `add_learned`.
    """
    runs = pd.DataFrame([flat(record, path) for record, path in records])
    runs = runs.reindex(columns=[*_ALWAYS, *(column for column in runs if column not in _ALWAYS)])
    times = [column for column in runs if column.startswith(("steps_to_", "seconds_to_"))]
    measured = [f"{stage}/{metric.name}" for stage in ("test", "val")]
    for column in (*_NUMBERS, *measured, *times):
        runs[column] = pd.to_numeric(runs[column], errors="coerce") if column in runs else math.nan
    # A run that diverged before its first evaluation has the chance level of the other runs on the same data.
    runs["chance"] = metric.sign * runs["chance"].fillna(runs.groupby("data")["chance"].transform("max"))
    ended = runs["status"].map({"finished": False, "diverged": True})
    for name, column in zip(("score", "selection_score"), measured, strict=True):
        runs[name] = (metric.sign * runs[column]).where(ended.eq(False)).mask(ended.eq(True), runs["chance"])
    tuning = {(row.study, seed) for row in runs[["study", "tuning_seeds"]].itertuples() for seed in row.tuning_seeds}
    runs["is_tuning"] = [pair in tuning for pair in zip(runs["study"], runs["seed"], strict=True)]
    runs.loc[runs["is_tuning"], "score"] = math.nan
    return add_learned(name_workloads(runs.drop(columns="tuning_seeds")), metric)


def add_learned(runs: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The same runs with a column `learned`: whether a run with a score has learned anything, by `Metric.learned`."""
    best = runs.groupby("workload")["score"].transform("max") if len(runs) else runs["score"]
    places = zip(runs["score"], runs["chance"], best, runs["status"], strict=True)
    return runs.assign(learned=[status != "diverged" and metric.learned(*of) for *of, status in places])


def load_history(path: str | Path) -> pd.DataFrame:
    """The history of one run by its folder: step, epoch, seconds, lr, train/*, val/*; empty where there is none.

    Raises ValueError for a file that cannot be read.
    """
    table = read_table(Path(path), "history")
    return pd.DataFrame({"step": []}) if table is None else table.to_pandas()
