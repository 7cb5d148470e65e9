"""How much the score of an initializer depends on the learning rate."""

import math

import pandas as pd

from initbench.analysis.statistics.student import mean_interval


def lr_sensitivity(runs: pd.DataFrame) -> pd.DataFrame:
    """Validation scores of the runs of one workload at every learning rate, over all seeds.

    Columns: init, lr (rising within an init), mean and half_width of its 95 % interval (Student's t), runs, diverged
    (which score chance).
    """
    ended = runs.assign(lr=pd.to_numeric(runs["lr"], errors="coerce"))
    ended = ended[ended["selection_score"].notna() & ended["lr"].notna()]
    rows = []
    for (init, lr), group in ended.groupby(["init", "lr"]):
        mean, half_width = mean_interval(group["selection_score"].tolist())
        diverged = int((group["status"] == "diverged").sum())
        rows.append((init, lr, mean, half_width, len(group), diverged))
    return pd.DataFrame(rows, columns=["init", "lr", "mean", "half_width", "runs", "diverged"])


def good_range(sensitivity: pd.DataFrame, tolerance: float = 0.01, chance: float = -math.inf) -> pd.DataFrame:
    """For each initializer the learning rates around its best whose mean is at most `tolerance` below it.

    An initializer that is nowhere more than `tolerance` above chance is left out: all of its rates are equally bad.

    Columns: best_lr, low, high, decades = log10(high / low), and is_open: the range ends where the grid does, so it
    may be wider. Index: init, the widest range first.
    """
    rows = {}
    for init, group in sensitivity.groupby("init"):
        if group["mean"].max() <= chance + tolerance:
            continue
        good = (group["mean"] >= group["mean"].max() - tolerance).tolist()
        best = first = last = int(group["mean"].to_numpy().argmax())
        while first > 0 and good[first - 1]:
            first -= 1
        while last < len(good) - 1 and good[last + 1]:
            last += 1
        rates = group["lr"].tolist()
        rows[str(init)] = {
            "best_lr": rates[best],
            "low": rates[first],
            "high": rates[last],
            "decades": math.log10(rates[last] / rates[first]),
            "is_open": first == 0 or last == len(rates) - 1,
        }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["best_lr", "low", "high", "decades", "is_open"])
    return table.sort_values("decades", ascending=False, kind="stable")
