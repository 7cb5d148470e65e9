"""What a plan can show, before it runs: the smallest difference that its seeds can detect, or how long a race is."""

import math
import statistics
from itertools import combinations
from pathlib import Path

import numpy as np

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import judged_by, load_runs, to_frame
from initbench.analysis.race.course import course
from initbench.analysis.race.raced import rules_of
from initbench.analysis.race.rules import Rules
from initbench.analysis.statistics.power import detectable, spread
from initbench.analysis.statistics.sign_flips import seeds_for_flips
from initbench.metric import DEFAULT_MARGIN, Metric
from initbench.record.plans import Plan
from initbench.wording import count

_RACES = 40  # that are simulated
_PATTERNS = 2**9  # of signs in each; a mean number of runs needs no more
_POWER = "80% power against one rival"


def what_seeds_show(seeds: int, workloads: int, study: Path) -> str:
    """One sentence about this many seeds on each workload, based on the finished runs of the study if there are any."""
    each = count(seeds, "seed") + (f" on each of {workloads} workloads" if workloads > 1 else "")
    if seeds < seeds_for_flips():
        return f"{each} cannot show a significant difference; at least {seeds_for_flips()} are needed"
    seen, metric = _spread(study, workloads)
    if math.isnan(seen):
        deviations = f"{detectable(seeds, 1.0):.1f} standard deviations of the paired difference"
        return f"{each} can show a difference of {deviations} ({_POWER}); its size is unknown until runs finish"
    difference = metric.difference(detectable(seeds, seen))
    return f"{each} can show a difference of {difference} ({_POWER}), judging by the spread of the finished runs"


def what_a_race_takes(plan: Plan, study: Path) -> str:
    """How many runs a race takes on average where all are equal, and where one is ahead: by simulated races."""
    assert plan.race is not None
    workloads = 1 if plan.race.per_task else len(plan.workloads)
    runs_each = len(plan.workloads)
    seen, metric = _spread(study, workloads)
    points = DEFAULT_MARGIN if plan.margin is None and metric.is_share else plan.margin
    margin = None if points is None else metric.margin(points)
    if math.isnan(seen):  # in units of the margin, which the spread is taken to be, too
        unit, text = 1.0, "the margin" if margin else "a standard deviation of the paired difference"
        known = "if the paired difference has a standard deviation of that size, which is unknown until runs finish"
    else:
        unit = margin or seen
        text, known = metric.difference(unit), "judging by the spread of the finished runs"
    rules = rules_of(plan, len(plan.inits), runs_each // workloads, unit if margin else None)
    spread_of_one = 1.0 if math.isnan(seen) else seen
    parts = []
    for name, lead in (("all are equal", 0.0), (f"one is ahead by {text}", unit), ("by twice that", 2 * unit)):
        parts.append(f"about {runs_each * runs_used(rules, lead, spread_of_one):.0f} if {name}")
    most = runs_each * len(plan.inits) * plan.race.most_seeds
    return f"the race takes, on average, {', '.join(parts)}; at most {most} runs ({known})"


def runs_used(rules: Rules, lead: float, spread: float) -> float:
    """The mean number of runs on one workload, in simulated races of normal scores where the first leads the others."""
    rng = np.random.default_rng(0)
    used = []
    for _ in range(_RACES):
        scores = spread / math.sqrt(2) * rng.normal(size=(rules.most_seeds, rules.inits))
        scores[:, 0] += lead
        used.append(course(scores, rules, _PATTERNS).runs)
    return statistics.fmean(used)


def _spread(study: Path, workloads: int) -> tuple[float, Metric]:
    """The typical standard deviation between seeds of the difference of two initializers; NaN if it is not known."""
    runs = load_runs(study) if any(study.glob("*/record.json")) else to_frame([])
    runs.attrs.pop("plans", None)  # the spread of a race is that of its runs, too
    metric = judged_by(runs)
    main = Comparison(runs, metric).main
    if main is None or main.seeds[0] < 3:
        return math.nan, metric
    found = [spread(main.scores[a] - main.scores[b]) for a, b in combinations(main.scores, 2)]
    known = [value for value in found if value > 0]
    # It is that of a mean over workloads, which is smaller over more of them.
    typical = statistics.median(known) * math.sqrt(len(main.workloads) / workloads) if known else math.nan
    return typical, metric
