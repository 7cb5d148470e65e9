"""Steps and seconds to a target, initializer by initializer: what was reached, when, and how sure that is."""

import math

import numpy as np
import pandas as pd

from initbench.analysis.paired import holm
from initbench.analysis.survival import hit_rate, log_rank, median_time, restricted_mean


def observed(ended: pd.DataFrame, target: str, clock: str = "steps") -> tuple[np.ndarray, np.ndarray]:
    """Time until each run reached the target, or until when it was not seen to, and which of the two it is.

    A run that diverged never will: it counts as seen to the end of the longest run, the horizon.
    """
    hit = ended[f"{clock}_to_{target}"]
    seen = ended[f"{clock}_seen"].where(ended["status"] != "diverged")
    last = np.nanmax([*hit, *seen, 0.0])
    return hit.fillna(seen).fillna(last).to_numpy(float), hit.notna().to_numpy()


def times_to(ended: pd.DataFrame, target: str) -> pd.DataFrame:
    """A row an initializer of one task's ended runs, the soonest first (by restricted mean).

    Columns: runs, diverged; hit_rate with hit_low, hit_high (95 %); median_steps, median_seconds (infinite where fewer
    than half got there), the seconds with those of the init; mean_steps, mean_low, mean_high, restricted to the horizon
    (the last evaluation of the longest run); p, log-rank against the first row, Holm-corrected.
    """
    horizon = float(observed(ended, target)[0].max())
    rows, curves = {}, {}
    for init, runs in ended.groupby("init"):
        times, reached = observed(runs, target)
        seconds, _ = observed(runs, target, "seconds")
        rate, rate_low, rate_high = hit_rate(reached)
        mean, low, high = restricted_mean(times, reached, horizon)
        curves[str(init)] = times, reached
        rows[str(init)] = {
            "runs": len(runs),
            "diverged": int((runs["status"] == "diverged").sum()),
            "hit_rate": rate,
            "hit_low": rate_low,
            "hit_high": rate_high,
            "median_steps": median_time(times, reached),
            "median_seconds": median_time(seconds, reached),
            "mean_steps": mean,
            "mean_low": low,
            "mean_high": high,
        }
    # Whoever got there at the very end has the restricted mean of who never did.
    table = pd.DataFrame.from_dict(rows, orient="index").sort_values(["mean_steps", "median_steps"], kind="stable")
    first = curves[str(table.index[0])]
    table["p"] = holm([math.nan, *(log_rank(*first, *curves[str(init)]) for init in table.index[1:])])
    return table
