"""The ranking of initializers, one table a task (all that is equal but initializer, learning rate and seed)."""

import math
from dataclasses import dataclass

import pandas as pd
from rich.markup import escape
from rich.table import Table
from scipy.special import stdtrit

from initbench.analysis.selection import Choice, scored
from initbench.analysis.survival import median_time
from initbench.analysis.times import observed
from initbench.analysis.titles import titles

OUTCOMES = ("finished", "diverged", "refused", "failed")


@dataclass(frozen=True)
class Ranking:
    task: str
    title: str
    target: str | None  # see hardest_reached
    table: pd.DataFrame  # index: init, best first
    scored: pd.DataFrame  # the runs behind the table
    choices: list[Choice]  # of learning rates

    @property
    def has_choice(self) -> bool:
        """Whether the learning rate was chosen at all."""
        return any(len(choice.rates) > 1 for choice in self.choices)


def rankings(runs: pd.DataFrame) -> list[Ranking]:
    """A ranking a task, the one that ran last at the end."""
    named = titles(runs)
    order = runs.groupby("task")["started_at"].max().fillna("").sort_values(kind="stable").index
    return [rank(runs[runs["task"] == task], named[str(task)]) for task in order]


def rank(runs: pd.DataFrame, title: str) -> Ranking:
    """Initializers of one task by mean score, each at the learning rate chosen for it (see `selection.scored`).

    Columns: lr; runs, and how many of them are finished, diverged, refused, failed; mean of the scores (a run that
    diverged scores chance) and half_width, the 95 % interval of the mean by Student's t (missing below two runs);
    hit_rate, the share of ended runs that reached the target, and median_steps, the first evaluation by which half of
    them had: infinite where fewer than half ever did.
    """
    spoken, choices = scored(runs)
    target = hardest_reached(spoken)
    rates = {choice.init: choice.lr for choice in choices}
    rows = {}
    for init, group in spoken.groupby("init"):
        mean, half_width = mean_interval(group["score"].dropna().tolist())
        ended = group[group["score"].notna()]
        reached = ended[f"steps_to_{target}"].notna() if target else pd.Series(False, ended.index)
        median = median_time(*observed(ended, target)) if target and len(ended) else math.inf
        rows[str(init)] = {
            "lr": rates.get(str(init), math.nan),
            "runs": len(group),
            **{status: int((group["status"] == status).sum()) for status in OUTCOMES},
            "mean": mean,
            "half_width": half_width,
            "hit_rate": float(reached.mean()) if len(ended) else math.nan,
            "median_steps": median if len(ended) else math.nan,
        }
    columns = ["lr", "runs", *OUTCOMES, "mean", "half_width", "hit_rate", "median_steps"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table = table.sort_values("mean", ascending=False, na_position="last", kind="stable")
    return Ranking(str(runs["task"].iloc[0]), title, target, table, spoken, choices)


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


def targets_of(runs: pd.DataFrame) -> list[str]:
    """The targets that runs were watched for, the easiest first."""
    names = [c.removeprefix("steps_to_") for c in map(str, runs) if c.startswith("steps_to_")]
    return sorted(names, key=float)


def hardest_reached(runs: pd.DataFrame) -> str | None:
    """The hardest target that half of some initializer's ended runs reached, or any run; None where none was."""
    ended = runs[runs["score"].notna()]
    for share in (0.5, 0.0):
        for target in reversed(targets_of(ended)):
            reached = ended[f"steps_to_{target}"].notna().groupby(ended["init"]).mean()
            if reached.max() >= share and reached.max() > 0:
                return target
    return None


def terminal_table(ranking: Ranking) -> Table:
    """The ranking for the terminal; learning rates, diverged, refused and failed runs where there are any."""
    target = f"{float(ranking.target):.0%}" if ranking.target else "a target"
    outcomes = [status for status in OUTCOMES[1:] if ranking.table[status].any()]
    rates = ["lr"] * ranking.has_choice
    table = Table(title=ranking.title, title_justify="left")
    columns = ["init", *rates, "test accuracy", f"reach {target}", "median steps", "runs", *outcomes]
    lines = []
    for init, row in ranking.table.iterrows():
        interval = "" if math.isnan(row["half_width"]) else f" ± {row['half_width']:.4f}"
        cells = [
            escape(str(init)),
            *(number(row[key], "g") for key in rates),
            number(row["mean"], ".4f") + interval,
            number(row["hit_rate"], ".0%"),
            steps(row["median_steps"]),
            *(str(int(row[key])) for key in ("runs", *outcomes)),
        ]
        lines.append(cells)
    for place, column in enumerate(columns):
        # A cut-off number is worth nothing: in a narrow terminal headings wrap, and lines if they must.
        width = max((len(line[place]) for line in lines), default=0)
        table.add_column(column, justify="right" if place else "left", min_width=width)
    for line in lines:
        table.add_row(*line)
    return table


def number(value: float, form: str) -> str:
    # Rounded once before: two ways to the same mean differ in their last bits, which may be all between two roundings.
    return "-" if math.isnan(value) else f"{round(value, 10):{form}}"


def steps(value: float) -> str:
    return "never" if math.isinf(value) else number(value, ".0f")
