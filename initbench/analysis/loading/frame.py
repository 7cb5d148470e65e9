"""Records as a pandas frame, one row per run."""

import math
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from initbench.analysis.loading.workload_names import name_workloads
from initbench.errors import nearest
from initbench.metric import ACCURACY, Metric
from initbench.record.damage import tell
from initbench.record.flat import OF_STATUS
from initbench.record.index import rows_below
from initbench.record.naming import name_versions
from initbench.record.plain import Row
from initbench.record.plans import read_plans
from initbench.record.store import read_table

_TEXT = ["study", "init", "model", "data", "optimizer", "status", "reason", "setting", "signature", "path"]
_ALWAYS = [
    *_TEXT,
    "init_source",
    "workload_id",
    "workload_config",
    "seeds",
    "sweep",
    "started_at",
    "finished_at",
    "lr",
    "seed",
    "budget",
    "tuning_seeds",
    "metric",
    "chance",
]
COLUMNS = {*_ALWAYS, "workload", "score", "selection_score", "is_tuning", "learned"} - {
    "tuning_seeds",
    "init_source",
}  # of every frame
_NUMBERS = ["budget", "chance", "steps_seen", "seconds_seen", "seconds_init", "seconds_train"]


def load_runs(folder: str | Path) -> pd.DataFrame:
    """All runs whose records are below `folder`, at any depth.

    Columns: study, init, model, data, optimizer, lr, seed, budget (in steps), status (finished, diverged, refused,
    failed, interrupted, running), reason, setting (equal for runs that differ only in init and seed), workload (in
    words, equal for runs that differ in learning rate, too), workload_id and workload_config (what they share),
    signature, path, started_at, finished_at; train/loss, val/accuracy, test/accuracy and the like; steps_to_<target>
    and seconds_to_<target>, missing if the target was not reached, and steps_seen, seconds_seen, until when the run was
    watched for it; seconds_init, seconds_train; init_source, a digest of the file of an initializer of your own.

    They also have score, the metric on the test set, or its negative if lower is better, and selection_score, the same
    on the validation set: both are missing for runs that did not end, and a run that diverged has those of a model that
    has learned nothing. learned: whether a run learned anything. is_tuning: whether its seed chooses a learning rate,
    so that it has no score. metric: what the run is judged by, an `initbench.metric.Metric`. seeds: if sources of
    randomness were varied apart from each other, the seed of each.

    A record that cannot be read is left out, with one line on stderr, which is also in the list
    `frame.attrs["unreadable"]`; `frame.attrs["plans"]` has what study.lock says.

    Raises ValueError if the folder is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        there = [str(path) for path in folder.parent.glob("*") if path.is_dir()] if folder.parent.is_dir() else []
        raise ValueError(f"there is no folder {str(folder)!r}.{nearest(str(folder), there)}")
    rows, damaged = rows_below(folder)
    for error in damaged:
        tell(error)
    runs = to_frame(rows)
    runs.attrs["unreadable"] = list(map(str, damaged))
    runs.attrs["plans"] = read_plans(folder)
    return runs


def to_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """The flat rows of records, with the `path` of each, as a frame with columns that follow from all of them together.

    score: the metric on the test set, see `initbench.metric`; for a run that diverged, whose network no longer predicts
    anything, the chance level or, for a metric that is no share, what `with_failures` gives it. selection_score: the
    same on the validation set. Both are missing for runs that did not end. is_tuning: the run's seed is used to choose
    the learning rate, so it has no score. learned: see `add_learned`.
    seeds: of runs whose sources of randomness were varied apart from each other, the seed of each, by name; then `seed`
    has them in words.
    metric: an `initbench.metric.Metric`; where runs are judged by several, only those of the latest have scores.
    """
    runs = pd.DataFrame(list(rows)).drop(columns=[*OF_STATUS], errors="ignore")
    runs = runs.reindex(columns=[*_ALWAYS, *(column for column in runs if column not in _ALWAYS)])
    times = [column for column in runs if column.startswith(("steps_to_", "seconds_to_"))]
    metric = judged_by(runs)
    measured = [f"{stage}/{metric.name}" for stage in ("test", "val")]
    for column in (*_NUMBERS, *measured, *times):
        runs[column] = pd.to_numeric(runs[column], errors="coerce") if column in runs else math.nan
    # A run that diverged before its first evaluation gets the chance level of the other runs on the same data.
    runs["chance"] = metric.sign * runs["chance"].fillna(runs.groupby("data")["chance"].transform("max"))
    ended = runs["status"].map({"finished": False, "diverged": True})
    for name, column in zip(("score", "selection_score"), measured, strict=True):
        scores = (metric.sign * runs[column]).where(ended.eq(False))
        failed = with_failures(scores, runs, runs["workload_id"])
        if metric.is_share:  # which cannot be far below chance
            failed = runs["chance"].fillna(failed)
        runs[name] = scores.mask(ended.eq(True), failed)
    runs = judged(runs)
    tuning = {(row.study, seed) for row in runs[["study", "tuning_seeds"]].itertuples() for seed in row.tuning_seeds}
    runs["is_tuning"] = [pair in tuning for pair in zip(runs["study"], runs["seed"], strict=True)]
    runs.loc[runs["is_tuning"], "score"] = math.nan
    runs = _name_seeds(name_workloads(runs.drop(columns="tuning_seeds")))
    return add_learned(_separate_versions(runs), metric)


def with_failures(scores: pd.Series, runs: pd.DataFrame, workload: pd.Series) -> pd.Series:
    """The scores, with one for each run that has none: the chance level or, where that is unknown or better than the
    worst score of the workload, that score.

    Without a chance level, an initializer with no score at all on a workload has none there: nothing is known about it.
    """
    worst = scores.groupby(workload).transform("min")
    has_scores = scores.groupby([workload, runs["init"]]).transform("count") > 0
    worst = worst.where(has_scores | runs["chance"].notna())
    return scores.fillna(worst.clip(upper=runs["chance"].fillna(math.inf)).fillna(runs["chance"]))


def judged(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs; those that are judged by another metric than the latest have no scores."""
    name = judged_by(runs).name
    is_other = runs["metric"].map(lambda metric: metric is not None and metric.name != name)
    scores = ["score", "selection_score"]
    return runs.assign(**{score: runs[score].mask(is_other.astype(bool)) for score in scores})


def judged_by(runs: pd.DataFrame) -> Metric:
    """The metric by which the latest runs of a frame are judged; accuracy where none has begun."""
    metrics = runs["metric"].dropna()
    if metrics.empty:
        return ACCURACY
    if len({metric.name for metric in metrics}) > 1:
        metrics = metrics[runs.loc[metrics.index, "started_at"].sort_values(na_position="first", kind="stable").index]
    latest: Metric = metrics.iloc[-1]
    return latest


def _separate_versions(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs; an initializer whose source was edited within a study has a name for each version."""
    sources = runs["init_source"].astype(object).where(runs["init_source"].notna(), None)
    versions = pd.Series(list(zip(runs["init"], sources, strict=True)), index=runs.index, dtype=object)
    names = {study: name_versions(of_study) for study, of_study in versions.groupby(runs["study"])}
    return runs.assign(init=[names[study][version] for study, version in zip(runs["study"], versions, strict=True)])


def _name_seeds(runs: pd.DataFrame) -> pd.DataFrame:
    """The same runs; where sources of randomness were varied apart from each other, `seed` has the seeds of all.

    Otherwise `seeds` is None: seeds that all runs of a workload share say nothing of how they differ.
    """
    apart = runs[runs["seeds"].notna()]
    if apart.empty:
        return runs
    runs = runs.astype({"seed": object})
    for _, group in apart.groupby("workload_id"):
        levels = pd.DataFrame(group["seeds"].tolist(), index=group.index)
        is_crossed = levels.astype(str).nunique().max() > 1
        if is_crossed and group["seed"].astype(str).nunique() > 1:
            levels.insert(0, "seed", group["seed"])
        for at, row in levels.iterrows():
            runs.at[at, "seeds"] = row.to_dict() if is_crossed else None
            if is_crossed:
                runs.at[at, "seed"] = ", ".join(f"{name} {seed}" for name, seed in row.items())
    return runs


def add_learned(runs: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The same runs with a column `learned`: whether a run with a score learned anything, see `Metric.learned`."""
    best = runs.groupby("workload")["score"].transform("max") if len(runs) else runs["score"]
    places = zip(runs["score"], runs["chance"], best, runs["status"], strict=True)
    return runs.assign(learned=[status != "diverged" and metric.learned(*of) for *of, status in places])


def load_history(path: str | Path) -> pd.DataFrame:
    """The history of the run in the folder `path`: step, epoch, seconds, lr, train/*, val/*; empty if it has none.

    Raises ValueError for a file that cannot be read.
    """
    table = read_table(Path(path), "history")
    return pd.DataFrame({"step": []}) if table is None else table.to_pandas()
