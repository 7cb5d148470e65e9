"""How many seeds would answer a question, and what the runs at hand can answer."""

import math

import pandas as pd

from initbench.analysis.flips import blocks_needed

POWER = 0.8  # share of studies in which a true difference is shown
# Sum of the normal quantiles of two-sided 5 % and of 80 % power; two seeds more make up for the normal in place of
# Student's t: Guenther 1981, Sample size formulas for normal theory t tests.
_QUANTILES = 2.8
_MORE = 2
_MOST = 10_000  # more than anybody runs


def spread(differences: pd.Series) -> float:
    """Standard deviation of the mean difference over workloads for one seed; NaN with fewer than two seeds of each.

    differences: of two initializers, index (workload, seed).
    """
    variances = differences.dropna().groupby(level="workload").var()
    return math.sqrt(variances.sum(skipna=False)) / len(variances) if len(variances) else math.nan


def seeds_needed(difference: float, spread: float, workloads: int = 1, level: float = 0.05) -> int | None:
    """Seeds of each workload with which a true difference is shown in four of five studies; None beyond 10,000.

    difference and `spread`, that of one seed, in the same unit.
    """
    if not difference > 0 or math.isnan(spread):
        return None
    needed = (_QUANTILES * spread / difference) ** 2 + _MORE
    return None if needed > _MOST else max(math.ceil(needed - 1e-9), least_seeds(workloads, level))


def detectable(seeds: int, spread: float, workloads: int = 1) -> float:
    """The smallest difference that so many seeds of each workload show in four of five studies; inf below the least."""
    return math.inf if seeds < least_seeds(workloads) else _QUANTILES * spread / math.sqrt(seeds - _MORE)


def least_seeds(workloads: int = 1, level: float = 0.05) -> int:
    """The fewest seeds of each workload that can show anything: with six sign flips the smallest p is 2 / 64.

    At least three, or the spread of a workload is not known.
    """
    return max(math.ceil(blocks_needed(alpha=level) / workloads), _MORE + 1)
