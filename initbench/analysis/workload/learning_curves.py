"""Learning curves: the histories of runs, averaged over seeds at each step."""

import pandas as pd

from initbench.analysis.loading.parquet_tables import read_tables
from initbench.metric import Metric


def stored_curves(metric: Metric) -> list[str]:
    """The columns of histories that have curves."""
    return list(dict.fromkeys([f"val/{metric.name}", "val/loss", "train/loss"]))


def load_curves(runs: pd.DataFrame, metric: Metric) -> tuple[pd.DataFrame, list[str]]:
    """The histories of all `runs` in one frame, and the names of the runs whose history cannot be read.

    Columns: init, seed, step, seconds (including the initialization), and the curves. If the metric is a share with a
    perfect value, val/error is the distance to it, whose logarithm tells good runs apart.
    """
    stored = stored_curves(metric)
    rows, broken = read_tables(runs, "history", ["step", "seconds", *stored])
    rows = rows.astype(dict.fromkeys(["seconds", *stored], float))
    of_run = rows.pop("run").to_numpy(int)
    rows["seconds"] += runs["seconds_init"].fillna(0.0).to_numpy()[of_run]
    if metric.is_share and metric.higher_is_better and metric.perfect is not None:
        rows["val/error"] = metric.perfect - rows[f"val/{metric.name}"]
    return rows.assign(init=runs["init"].to_numpy()[of_run], seed=runs["seed"].to_numpy()[of_run]), broken


def mean_curves(curves: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """The curve of each metric and initializer, by (init, metric); those without any value are left out.

    Index: step. Columns: mean, low and high over seeds, seconds (mean), and runs, how many got that far.
    """
    grouped = curves.groupby(["init", "step"])
    seconds = grouped["seconds"].mean()
    found = {}
    for metric in (column for column in curves if column.startswith(("val/", "train/"))):
        table = grouped[metric].agg(["mean", "min", "max", "count"]).assign(seconds=seconds)
        table = table[table["count"] > 0].rename(columns={"min": "low", "max": "high", "count": "runs"})
        for init, curve in table.groupby(level="init"):
            found[str(init), metric] = curve.droplevel("init")
    return found


def thinned(curve: pd.DataFrame, points: int) -> pd.DataFrame:
    """Every k-th row and the last, about `points` in all; nothing is smoothed."""
    last = len(curve) - 1
    kept = range(0, len(curve), max(-(-len(curve) // points), 1))
    return curve.iloc[[*kept] if last in kept or last < 0 else [*kept, last]]
