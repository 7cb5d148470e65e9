"""The exact test of two initializers whose learning rates were chosen: swap, seed by seed, a whole row of rates.

Where a rate is chosen by looking at results, flipping the sign of the difference between the two chosen runs is no
longer exact: alike initializers differ significantly in up to 12 % of studies with ten tuning seeds, and in up to 18 %
of grids, for a nominal 5 % (docs/explanation/comparison.md). A row is all runs of one initializer with one seed, one at
each rate. If two initializers are alike, so are their rows: swapping two rows and choosing the rates again gives a
study that was as probable as the observed one.

This needs runs at every rate for the scored seeds, too; a seed that lacks one is left out. If only the chosen rates
were run for them, p holds at these rates.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from initbench.analysis.statistics.blocks import TIE, Array
from initbench.analysis.statistics.sign_flips import Alternative, count_extreme, sign_patterns

EXACT_UP_TO = 14  # seeds: 2^13 patterns, in each of which the rates are chosen anew
SWAPS = 9_999


@dataclass(frozen=True)
class Rows:
    """Two initializers' runs on a workload: (2, seeds, rates), the rates in rising order.

    choosing: their scores on validation, by which a rate is chosen; scored: their scores. seeds: the labels of the
    seeds that choose, then of those that are scored. cross_fitted: the two are the same seeds, each label is there
    once, and each seed is scored at the rate that the others choose.
    """

    choosing: Array
    scored: Array
    seeds: tuple[Hashable, ...]
    cross_fitted: bool


def swap_test(workloads: Sequence[Rows], alternative: Alternative = "two-sided") -> float:
    """p value that two initializers are alike; the statistic is the mean over workloads of the mean over seeds.

    A seed is swapped on all workloads at once. Exact up to 14 seeds, including those that choose; beyond that, 9,999
    random swaps. With alternative="greater" the test is one-sided: whether the first initializer is better.
    """
    labels = {label: at for at, label in enumerate(dict.fromkeys(seed for of in workloads for seed in of.seeds))}
    places = [[labels[seed] for seed in of.seeds] for of in workloads]
    observed, slack, as_extreme, patterns = np.zeros(1), np.zeros(1), 0, 0
    for signs in sign_patterns(len(labels), EXACT_UP_TO, SWAPS):
        keeps = [signs[:, at] > 0 for at in places]
        means = np.mean([_differences(of, kept).mean(axis=1) for of, kept in zip(workloads, keeps, strict=True)], 0)
        if not patterns:  # the first pattern swaps nothing
            observed, slack = means[:1], 1e-9 * np.abs(means).max(keepdims=True)
        patterns += len(signs)
        as_extreme += int(count_extreme(means[:, None], observed, slack, alternative)[0])
    return as_extreme / (2 * patterns)  # each pattern stands for its mirror image too


def chosen_differences(rows: Rows) -> Array:
    """The differences of the scores at the chosen rates, (seeds,)."""
    return _differences(rows, np.ones((1, len(rows.seeds)), dtype=bool))[0]


def _differences(of: Rows, keeps: npt.NDArray[np.bool_]) -> Array:
    """(patterns, seeds): the difference of the two scores of each seed; `keeps` says which rows keep their side."""
    choosers = 0 if of.cross_fitted else of.choosing.shape[1]
    scored = _sides(of.scored, keeps[:, choosers:])
    choosing = _sides(of.choosing, keeps if of.cross_fitted else keeps[:, :choosers])
    totals = choosing.sum(axis=2, keepdims=True)
    seeds = choosing.shape[2]
    if of.cross_fitted and seeds > 1:
        totals, seeds = totals - choosing, seeds - 1
    is_best = totals >= totals.max(axis=3, keepdims=True) - seeds * TIE
    # If several rates are equally good, the middle one, as in `choose_lr`.
    middle = is_best.sum(axis=3, keepdims=True) // 2 + 1
    chosen = (np.cumsum(is_best, axis=3) == middle).argmax(axis=3, keepdims=True)
    at_chosen = np.take_along_axis(scored, np.broadcast_to(chosen, (*scored.shape[:3], 1)), axis=3)[..., 0]
    return at_chosen[0] - at_chosen[1]


def _sides(rows: Array, keeps: npt.NDArray[np.bool_]) -> Array:
    """(2, patterns, seeds, rates): each pattern's rows of the first and of the second initializer."""
    kept = keeps[:, :, None]
    return np.stack([np.where(kept, rows[0], rows[1]), np.where(kept, rows[1], rows[0])])
