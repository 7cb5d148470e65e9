"""The exact test of two initializers whose learning rates were chosen: swap, seed by seed, a whole row of rates.

Where a rate is chosen by looking at results, flipping the sign of the difference between the two chosen runs is no
longer exact: alike initializers differ significantly in up to 12 % of studies with ten tuning seeds, and in up to 18 %
of grids, for a nominal 5 % (docs/comparison.md). Where two initializers are alike, so are their rows, all that was run
with a seed at all of the rates. To swap two rows and choose anew gives a study that was as probable as the one that was
made.

This takes runs at every rate for the seeds that are scored, too; a seed that lacks one is left out. Where only the
chosen rates were run for them, p holds at these rates.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from initbench.analysis.statistics.blocks import Array
from initbench.analysis.statistics.sign_flips import Alternative, sign_patterns
from initbench.analysis.workload.learning_rate import TIE

EXACT_UP_TO = 14  # seeds: 2^13 patterns, in each of which the rates are chosen anew
SWAPS = 9_999


@dataclass(frozen=True)
class Rows:
    """Two initializers' runs on a workload: (2, seeds, rates), the rates in rising order.

    choosing: their scores on validation, by which a rate is chosen; scored: their scores. `seeds` are the labels of
    those that choose, then of those that are scored. With `cross_fitted` the two are the same, labels are there once,
    and each seed is scored at the rate that the others choose.
    """

    choosing: Array
    scored: Array
    seeds: tuple[Hashable, ...]
    cross_fitted: bool


def swap_test(workloads: Sequence[Rows], alternative: Alternative = "two-sided") -> float:
    """p value that two initializers are alike; the statistic is the mean over workloads of the mean over seeds.

    A seed is swapped on all workloads at once. Exact up to 14 seeds, those that choose among them; beyond, 9,999 random
    swaps. With alternative="greater" the test is one-sided: whether the first initializer is better.
    """
    labels = {label: at for at, label in enumerate(dict.fromkeys(seed for of in workloads for seed in of.seeds))}
    places = [[labels[seed] for seed in of.seeds] for of in workloads]
    observed, slack, as_extreme, patterns = 0.0, 0.0, 0, 0
    for signs in sign_patterns(len(labels), EXACT_UP_TO, SWAPS):
        keeps = [signs[:, at] > 0 for at in places]
        means = np.mean([_differences(of, kept).mean(axis=1) for of, kept in zip(workloads, keeps, strict=True)], 0)
        if not patterns:
            observed, slack = means[0], 1e-9 * np.abs(means).max()
        patterns += len(signs)
        if alternative == "two-sided":
            as_extreme += 2 * int((np.abs(means) >= abs(observed) - slack).sum())
        else:
            least = (observed if alternative == "greater" else -observed) - slack
            as_extreme += int((means >= least).sum()) + int((-means >= least).sum())
    return as_extreme / (2 * patterns)  # each pattern stands for its mirror image too


def chosen_differences(rows: Rows) -> Array:
    """(seeds,): the differences of the scores at the rates that are chosen."""
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
    # The middle one of rates that are equally good, as `choose_lr` takes.
    middle = is_best.sum(axis=3, keepdims=True) // 2 + 1
    chosen = (np.cumsum(is_best, axis=3) == middle).argmax(axis=3, keepdims=True)
    at_chosen = np.take_along_axis(scored, np.broadcast_to(chosen, (*scored.shape[:3], 1)), axis=3)[..., 0]
    return at_chosen[0] - at_chosen[1]


def _sides(rows: Array, keeps: npt.NDArray[np.bool_]) -> Array:
    """(2, patterns, seeds, rates): each pattern's rows of the first and of the second initializer."""
    kept = keeps[:, :, None]
    return np.stack([np.where(kept, rows[0], rows[1]), np.where(kept, rows[1], rows[0])])


@dataclass(frozen=True)
class Swaps:
    """The pairs of initializers whose rates were chosen, and for which the test is exact.

    rows: the first and the second initializer; by workload. Of other pairs: `tuned`, the initializers whose rates were
    chosen by seeds that are not scored; `unmatched`, those whose rates were chosen by seeds that are, while the other
    of the pair was not run at the same rates.
    """

    rows: Mapping[tuple[str, str], Mapping[str, Rows]]
    tuned: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()

    @cached_property
    def p(self) -> dict[frozenset[str], float]:
        return {frozenset(pair): swap_test(list(rows.values())) for pair, rows in self.rows.items()}


def swaps(runs: pd.DataFrame, scores: pd.DataFrame) -> Swaps:
    """Which pairs of initializers have chosen rates.

    runs: all runs of the workloads of `scores`, those that choose among them; scores: (workload, seed) by initializer,
    as they are compared.
    """
    rates = runs[runs["selection_score"].notna()].groupby(["workload", "init"])["lr"].nunique()
    with_choice = {init for (_, init), number in rates.items() if number > 1}
    with_tuning = set(runs.loc[runs["is_tuning"], "init"])
    grids = dict(iter(runs[runs["lr"].notna()].groupby(["workload", "init"])))
    found: dict[tuple[str, str], dict[str, Rows]] = {}
    others: set[str] = set()
    for pair in combinations(map(str, scores), 2):
        if not with_choice & set(pair):
            continue
        common = scores[list(pair)].dropna()
        rows = {
            str(workload): _rows([grids.get((workload, init)) for init in pair], block.index.get_level_values("seed"))
            for workload, block in common.groupby(level="workload", sort=False)
        }
        whole = {workload: of for workload, of in rows.items() if of is not None}
        if rows and len(whole) == len(rows):
            found[pair] = whole
        else:
            others |= with_choice & set(pair)
    named = [init for init in map(str, scores) if init in others]
    return Swaps(
        found,
        tuned=tuple(init for init in named if init in with_tuning),
        unmatched=tuple(init for init in named if init not in with_tuning),
    )


def _rows(grids: Sequence[pd.DataFrame | None], seeds: pd.Index) -> Rows | None:
    """The seeds for which both were run at every rate; None where there are none, or the rates differ."""
    if any(grid is None for grid in grids):
        return None
    choosing, scored = [], []
    for grid in (grid.drop_duplicates(["seed", "lr"]) for grid in grids if grid is not None):
        tuning, fresh = grid[grid["is_tuning"]], grid[~grid["is_tuning"]]
        choosing.append((tuning if len(tuning) else fresh).pivot(index="seed", columns="lr", values="selection_score"))
        scored.append(fresh.pivot(index="seed", columns="lr", values="score").reindex(seeds))
    is_tuned = [bool(grid["is_tuning"].any()) for grid in grids if grid is not None]
    if is_tuned[0] != is_tuned[1] or not all(of.columns.equals(scored[0].columns) for of in (*choosing, *scored)):
        return None
    if is_tuned[0]:
        choosers, scorers = _whole(choosing), _whole(scored)
    else:
        choosers = scorers = _whole([*choosing, *scored])
    if choosers.empty or scorers.empty:
        return None
    of_choosing = np.stack([of.loc[choosers].to_numpy(float) for of in choosing])
    of_scored = np.stack([of.loc[scorers].to_numpy(float) for of in scored])
    labels = (*choosers, *scorers) if is_tuned[0] else tuple(scorers)
    return Rows(of_choosing, of_scored, labels, cross_fitted=not is_tuned[0])


def _whole(tables: Sequence[pd.DataFrame]) -> pd.Index:
    """The seeds for which no table misses a rate."""
    return reduce(lambda seeds, of: seeds.intersection(of.dropna().index, sort=False), tables, tables[0].index)
