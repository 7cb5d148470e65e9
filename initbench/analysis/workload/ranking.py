"""The ranking of initializers, one table per workload."""

import math
from dataclasses import dataclass

import pandas as pd

from initbench.analysis.loading.frame import judged_by
from initbench.analysis.statistics.aggregate import interquartile_mean
from initbench.analysis.statistics.student import mean_interval
from initbench.analysis.statistics.survival import hit_rate, median_time
from initbench.analysis.workload.learning_rate import Choice, scored
from initbench.analysis.workload.time_to_target import observed

OUTCOMES = ("finished", "diverged", "refused", "failed")
_MEASURES = ("learned", "learned_low", "learned_high", "mean", "half_width", "iqm", "iqm_low", "iqm_high")
_INTERVALS = ("learned_low", "learned_high", "half_width", "iqm_low", "iqm_high")


@dataclass(frozen=True)
class Ranking:
    """The initializers of one workload from best to worst, and what their ranking is made of."""

    workload: str  # in words
    workload_id: str
    target: str | None  # see hardest_reached
    table: pd.DataFrame  # index: init, best first; see rank
    scored: pd.DataFrame  # the runs behind the table
    choices: list[Choice]  # of learning rates

    @property
    def has_choice(self) -> bool:
        """Whether the learning rate was chosen at all."""
        return any(len(choice.rates) > 1 for choice in self.choices)

    @property
    def of_records(self) -> bool:
        """Whether these are runs with records."""
        return bool(self.scored["path"].notna().any())

    @property
    def is_crossed(self) -> bool:
        """Whether its runs share seeds, so that they are not independent (see `workload.crossed`)."""
        return bool(self.scored["seeds"].notna().any())

    @property
    def failures_count_as(self) -> str:
        """In words, the score that failed runs are given: see `loading.frame.with_failures`."""
        chance_is_known = bool(self.scored["chance"].notna().any())
        if self.of_records and chance_is_known and judged_by(self.scored).is_share:
            return "the chance level"
        worst = "the worst score of the workload"
        return f"chance, or as {worst} where that is worse" if chance_is_known else worst

    @property
    def all_learned(self) -> bool:
        """Whether every run learned something; if not, a mean with Student's interval is misleading."""
        return bool((self.table["learned"].astype(float).fillna(self.table["runs"]) >= self.table["scored"]).all())


def rankings(runs: pd.DataFrame) -> list[Ranking]:
    """A ranking for each workload, the one that ran last at the end."""
    started = runs["started_at"].fillna("").groupby(runs["workload"], sort=False).max()
    order = started.sort_values(kind="stable").index
    by_workload = dict(iter(runs.groupby("workload", sort=False)))
    return [rank(by_workload[workload]) for workload in order]


def rank(runs: pd.DataFrame) -> Ranking:
    """The initializers of one workload by mean score, each at the learning rate chosen for it (`learning_rate.scored`).

    Columns: lr; runs, and how many of them are finished, diverged, refused, failed; scored, how many have a score;
    learned, how many of these learned anything, with the exact 95 % interval of that share, learned_low and
    learned_high; mean of the scores (a run that diverged scores chance) and half_width, the 95 % interval of the mean
    by Student's t (missing below two runs); iqm, the interquartile mean, with its 95 % interval iqm_low and iqm_high;
    hit_rate, the share of ended runs that reached the target, and median_steps, the first evaluation by which half of
    them had: infinite if fewer than half ever did; both are missing if no run was watched for any target.
    """
    spoken, choices = scored(runs)
    target, is_watched = hardest_reached(spoken), bool(targets_of(spoken))
    rates = {choice.init: choice.lr for choice in choices}
    rows = {}
    for init, group in spoken.groupby("init"):
        ended = group[group["score"].notna()]
        reached = ended[f"steps_to_{target}"].notna() if target else pd.Series(False, ended.index)
        median = median_time(*observed(ended, target)) if target and len(ended) else math.inf
        outcomes = group["status"].value_counts()
        rows[str(init)] = {
            "lr": rates.get(str(init), math.nan),
            "runs": len(group),
            **{status: int(outcomes.get(status, 0)) for status in OUTCOMES},
            "scored": len(ended),
            **(_measures(ended) if len(ended) else {}),
            "hit_rate": float(reached.mean()) if len(ended) and is_watched else math.nan,
            "median_steps": median if len(ended) and is_watched else math.nan,
        }
    columns = ["lr", "runs", *OUTCOMES, "scored", *_MEASURES, "hit_rate", "median_steps"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    if spoken["seeds"].notna().any():  # intervals would count runs that share seeds as independent
        table[[*_INTERVALS]] = math.nan
    table = table.sort_values("mean", ascending=False, na_position="last", kind="stable")
    first = runs.iloc[0]
    return Ranking(str(first["workload"]), str(first["workload_id"]), target, table, spoken, choices)


def _measures(ended: pd.DataFrame) -> dict[str, float]:
    _, low, high = hit_rate(ended["learned"])
    middle = interquartile_mean(ended[["workload", "seed", "score"]].set_index(["workload", "seed"])).iloc[0]
    values = (int(ended["learned"].sum()), low, high, *mean_interval(ended["score"].tolist()), *middle)
    return dict(zip(_MEASURES, values, strict=True))


def targets_of(runs: pd.DataFrame) -> list[str]:
    """The targets that runs were watched for, the easiest first."""
    names = [c.removeprefix("steps_to_") for c in map(str, runs) if c.startswith("steps_to_")]
    sign = judged_by(runs).sign if names else 1
    return sorted(names, key=lambda name: sign * float(name))


def hardest_reached(runs: pd.DataFrame) -> str | None:
    """The hardest target that half of some initializer's ended runs reached, or else any run; None if none was."""
    ended = runs[runs["score"].notna()]
    for share in (0.5, 0.0):
        for target in reversed(targets_of(ended)):
            reached = ended[f"steps_to_{target}"].notna().groupby(ended["init"]).mean()
            if reached.max() >= share and reached.max() > 0:
                return target
    return None
