"""The races of a study: its runs, in the order of their seeds, under the rules that were written down before them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from initbench.analysis.loading.frame import judged_by
from initbench.analysis.race.course import Course, course
from initbench.analysis.race.rules import Rules
from initbench.analysis.statistics.blocks import Array
from initbench.metric import DEFAULT_MARGIN, Metric
from initbench.record.plans import Plan

_ENDED = ("finished", "diverged", "failed")


@dataclass(frozen=True)
class Raced:
    """A race: by whom it is run, on which workloads, and its course, in which initializers are numbered as in `inits`.

    scores: (seeds, initializers), the mean over the workloads; refused: those that could not take part; runs: how many
    have ended, whether the course needs them or not.
    """

    inits: tuple[str, ...]
    workloads: tuple[str, ...]  # digests
    course: Course
    scores: Array
    refused: tuple[str, ...]
    runs: int
    metric: Metric

    @property
    def needed(self) -> int:
        """The runs that the course counts, on all workloads."""
        return self.course.runs * len(self.workloads)

    @property
    def saved(self) -> int:
        """The runs that those that are out have been spared since."""
        return sum(self.course.seeds - out.seeds for out in self.course.exits) * len(self.workloads)


def races(runs: pd.DataFrame, plan: Plan, looks: int = 0) -> list[Raced]:
    """One race over all workloads of the plan or, with `per_task`, one for each, which share the level.

    runs: as from `to_frame`, one for each workload, initializer and seed; looks: how often the study had been looked at
    before, each of which halves the level. A run that diverged or failed scores chance or, where a score has no chance
    level, as low as the worst up to its seed. So what has been decided stays decided, whatever later runs score.
    """
    assert plan.race is not None
    apart = [(workload,) for workload in plan.workloads] if plan.race.per_task else [plan.workloads]
    return [_race(runs, plan, group, len(apart) * 2**looks) for group in apart]


def rules_of(plan: Plan, inits: int, parts: int, margin: float | None) -> Rules:
    """The rules for so many initializers, with one of so many parts of the level; margin: in the unit of the scores."""
    assert plan.race is not None
    return Rules(max(inits, 2), plan.race.level / parts, plan.race.most_seeds, margin, plan.race.strict)


def _race(runs: pd.DataFrame, plan: Plan, workloads: tuple[str, ...], parts: int) -> Raced:
    assert plan.race is not None
    seeds = range(plan.race.most_seeds)
    own = runs[runs["workload_id"].isin(workloads) & runs["init"].isin(plan.inits) & ~runs["is_tuning"]]
    own = own[own["seeds"].isna()]
    tried = set(own["init"])
    could = set(own.loc[own["status"] != "refused", "init"])
    inits = [init for init in plan.inits if init not in tried or init in could]
    ended = own[own["status"].isin(_ENDED) & own["seed"].isin(seeds)]
    scores = np.mean([_scores(ended[ended["workload_id"] == of], inits, seeds) for of in workloads], axis=0)
    metric = judged_by(runs)
    points = DEFAULT_MARGIN if plan.margin is None and metric.is_share else plan.margin
    margin = None if points is None else metric.margin(points)
    race = course(scores, rules_of(plan, len(inits), parts, margin))
    refused = tuple(init for init in plan.inits if init not in inits)
    return Raced(tuple(inits), workloads, race, scores, refused, len(ended), metric)


def _scores(ended: pd.DataFrame, inits: Sequence[str], seeds: range) -> Array:
    """(seeds, initializers) of one workload; NaN where no run has ended."""
    table = np.full((len(seeds), len(inits)), math.nan)
    failed = np.zeros(table.shape, dtype=bool)
    places = zip(ended["seed"], ended["init"], ended["status"], ended["score"], strict=True)
    for seed, init, status, score in places:
        at = int(seed), inits.index(init)
        failed[at] = status != "finished" or math.isnan(score)
        table[at] = math.nan if failed[at] else score
    chance = float(ended["chance"].max()) if len(ended) else math.nan
    if len(ended) and judged_by(ended).is_share and not math.isnan(chance):
        return np.where(failed, chance, table)
    worst = np.fmin(np.fmin.accumulate(np.fmin.reduce(table, axis=1, initial=math.inf)), chance)
    # Where no run has had a score yet, all have failed alike.
    return np.where(failed, np.where(np.isfinite(worst), worst, 0.0)[:, None], table)
