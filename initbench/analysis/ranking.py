"""The ranking of initializers, one table a setting (all that is equal but initializer and seed)."""

import math
import statistics
from dataclasses import dataclass

import pandas as pd
from rich.markup import escape
from rich.table import Table
from scipy.special import stdtrit


@dataclass(frozen=True)
class Ranking:
    title: str
    setting: str
    target: str | None  # the hardest target that some run of the setting reached
    table: pd.DataFrame  # index: init, best first


_OUTCOMES = ("finished", "diverged", "refused", "failed")


def rankings(runs: pd.DataFrame) -> list[Ranking]:
    """A ranking a setting, the setting that ran last at the end."""
    order = runs.groupby("setting")["started_at"].max().fillna("").sort_values().index
    return [rank(runs[runs["setting"] == setting]) for setting in order]


def rank(runs: pd.DataFrame) -> Ranking:
    """Initializers of one setting by mean test accuracy over their finished runs.

    Columns: runs, and how many of them are finished, diverged, refused, failed; mean and half_width, the 95 % interval
    of the mean by Student's t (missing below two runs); hit_rate, the share of all runs that reached the target, and
    median_steps to it, where a run that never did counts as infinity: it is censored, not absent.
    """
    target = _hardest_reached(runs)
    rows = {}
    for init, group in runs.groupby("init"):
        finished = group[group["status"] == "finished"]
        mean, half_width = mean_interval(finished["test/accuracy"].tolist() if len(finished) else [])
        ended = group[group["status"].isin(("finished", "diverged"))]
        steps = ended[f"steps_to_{target}"].fillna(math.inf) if target else pd.Series(math.inf, ended.index)
        rows[init] = {
            "runs": len(group),
            **{status: int((group["status"] == status).sum()) for status in _OUTCOMES},
            "mean": mean,
            "half_width": half_width,
            "hit_rate": float((steps < math.inf).mean()) if len(steps) else math.nan,
            "median_steps": statistics.median(steps.tolist()) if len(steps) else math.nan,
        }
    table = pd.DataFrame.from_dict(rows, orient="index").sort_values("mean", ascending=False, na_position="last")
    first = runs.iloc[0]
    title = f"{first['model']} on {first['data']}, {first['optimizer']}"
    if pd.notna(first["lr"]):
        title += f" lr {first['lr']}"
    if runs["budget"].notna().any():  # known as soon as one run has begun
        title += f", {runs['budget'].max():.0f} steps"
    return Ranking(title, str(first["setting"]), target, table)


def mean_interval(values: list[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half width of its interval by Student's t; NaN where there are too few values."""
    n = len(values)
    if n == 0:
        return math.nan, math.nan
    mean = math.fsum(values) / n
    if n == 1:
        return mean, math.nan
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return mean, float(stdtrit(n - 1, 0.5 + confidence / 2)) * deviation / math.sqrt(n)


def terminal_table(ranking: Ranking) -> Table:
    """The ranking for the terminal; diverged, refused and failed runs get a column where there are any."""
    target = f"{float(ranking.target):.0%}" if ranking.target else "a target"
    outcomes = [status for status in _OUTCOMES[1:] if ranking.table[status].any()]
    table = Table(title=ranking.title, title_justify="left")
    table.add_column("init", no_wrap=True)
    for column in ("test accuracy", f"reach {target}", "median steps", "runs", *outcomes):
        table.add_column(column, justify="right", no_wrap=True)
    for init, row in ranking.table.iterrows():
        interval = "" if math.isnan(row["half_width"]) else f" ± {row['half_width']:.4f}"
        table.add_row(
            escape(str(init)),
            _number(row["mean"], ".4f") + interval,
            _number(row["hit_rate"], ".0%"),
            "never" if math.isinf(row["median_steps"]) else _number(row["median_steps"], ".0f"),
            *(str(int(row[key])) for key in ("runs", *outcomes)),
        )
    return table


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else f"{value:{form}}"


def _hardest_reached(runs: pd.DataFrame) -> str | None:
    targets = [
        c.removeprefix("steps_to_") for c in map(str, runs) if c.startswith("steps_to_") and runs[c].notna().any()
    ]
    return max(targets, key=float, default=None)
