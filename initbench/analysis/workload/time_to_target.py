"""Steps and seconds to a target for each initializer: how many runs reached it, when, and how sure that is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from initbench.analysis.statistics.survival import hit_rate, is_faster, log_rank, median_time, restricted_mean

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TimesToTarget:
    """Which initializers reached a target of a workload, and when.

    table: index init, the fastest first (by restricted mean). Columns: runs, diverged; hit_rate with hit_low, hit_high
    (95 %); median_steps, median_seconds (infinite if fewer than half got there; seconds include the initialization);
    median_after, the evaluation before median_steps, NaN if it is not known; mean_steps, mean_low, mean_high,
    restricted to the horizon (the last evaluation of the longest run); is_slower, whether the log-rank test has the
    first row on the faster side; p_alone, its p value; p and p_first, the same corrected by `correct`.
    """

    workload: str
    target: str
    table: pd.DataFrame


def observed(ended: pd.DataFrame, target: str, clock: str = "steps") -> tuple[Array, npt.NDArray[np.bool_]]:
    """When each run reached the target, or until when it was watched for it; and whether it reached it. (runs,) each.

    A run that diverged never will: it counts as watched until the end of the longest run, the horizon.
    """
    hit, seen = (ended[f"{clock}_{what}"].to_numpy(dtype=float) for what in (f"to_{target}", "seen"))
    seen = np.where(ended["status"] != "diverged", seen, math.nan)
    last = np.nanmax([*hit, *seen, 0.0])
    reached = ~np.isnan(hit)
    return np.where(reached, hit, np.where(np.isnan(seen), last, seen)), reached


def times_to(ended: pd.DataFrame, target: str) -> TimesToTarget:
    """The times of one workload's runs that ended; the tests are not corrected yet."""
    horizon = float(observed(ended, target)[0].max())
    rows, curves = {}, {}
    for init, runs in ended.groupby("init"):
        times, reached = observed(runs, target)
        seconds, _ = observed(runs, target, "seconds")
        rate, rate_low, rate_high = hit_rate(reached)
        mean, low, high = restricted_mean(times, reached, horizon)
        curves[str(init)] = times, reached
        median = median_time(times, reached)
        rows[str(init)] = {
            "runs": len(runs),
            "diverged": int((runs["status"] == "diverged").sum()),
            "hit_rate": rate,
            "hit_low": rate_low,
            "hit_high": rate_high,
            "median_steps": median,
            "median_after": _evaluation_before(median, runs),
            "median_seconds": median_time(seconds, reached),
            "mean_steps": mean,
            "mean_low": low,
            "mean_high": high,
        }
    # A run that reaches the target at the horizon has the same restricted mean as one that never does.
    table = pd.DataFrame.from_dict(rows, orient="index").sort_values(["mean_steps", "median_steps"], kind="stable")
    first = curves[str(table.index[0])]
    table["is_slower"] = [False, *(is_faster(*first, *curves[str(init)]) for init in table.index[1:])]
    table["p_alone"] = [math.nan, *(log_rank(*first, *curves[str(init)]) for init in table.index[1:])]
    return TimesToTarget(str(ended["workload"].iloc[0]), target, table.assign(p=math.nan, p_first=math.nan))


def correct(times: Sequence[TimesToTarget]) -> list[TimesToTarget]:
    """The same with the log-rank tests corrected over all targets and workloads together (Bonferroni).

    p: over every two initializers of every table, as it is only known afterwards which of them is the fastest. p_first:
    over the tables alone; if it is below a level against each of the others, the first is verified to be the fastest,
    as in `comparison.findings`.
    """
    tables = [of.table for of in times]
    tested = sum(len(table) > 1 for table in tables)
    pairs = sum(math.comb(len(table), 2) for table in tables)
    return [
        TimesToTarget(
            of.workload,
            of.target,
            of.table.assign(
                p=(of.table["p_alone"] * pairs).clip(upper=1), p_first=(of.table["p_alone"] * tested).clip(upper=1)
            ),
        )
        for of in times
    ]


def _evaluation_before(steps: float, runs: pd.DataFrame) -> float:
    """The evaluation before the one at `steps`; the target was reached between the two."""
    every = runs["val_every_n_steps"].max()
    return max((math.ceil(steps / every) - 1) * every, 0.0) if every > 0 and math.isfinite(steps) else math.nan
