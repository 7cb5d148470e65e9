"""The exact test of two initializers whose learning rates were chosen: swap, seed by seed, a whole row of rates.

Where a rate is chosen by looking at results, flipping the sign of the difference between the two chosen runs is no
longer exact: alike initializers differ significantly in 7 to 24 % of studies with rates chosen by three to ten tuning
seeds, for a nominal 5 %. Where two initializers are alike, so are their rows, all that was run with a seed at all of
the rates. To swap two rows and choose anew gives a study that was as probable as the one that was made.

This takes runs at every rate for the seeds that are scored, too. Where only the chosen rates were run for them, p
holds at these rates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from initbench.analysis.blocks import Array
from initbench.analysis.flips import mean_and_error, sign_patterns
from initbench.analysis.selection import TIE

EXACT_UP_TO = 14  # blocks: 2^13 patterns, in each of which the rates are chosen anew
SWAPS = 9_999


@dataclass(frozen=True)
class Rows:
    """Two initializers' runs on a workload: (2, seeds, rates), the rates in rising order.

    choosing: their scores on validation, by which a rate is chosen; scored: their scores. With `cross_fitted` the two
    are of the same seeds, and each seed is scored at the rate that the others choose.
    """

    choosing: Array
    scored: Array
    cross_fitted: bool

    @property
    def blocks(self) -> int:
        return self.scored.shape[1] + (0 if self.cross_fitted else self.choosing.shape[1])


def swap_test(workloads: Sequence[Rows]) -> float:
    """Two-sided p value that two initializers are alike; the statistic is that of `initbench.analysis.flips`.

    Exact up to 14 blocks (the seeds of all workloads, including those that choose); beyond, 9,999 random swaps.
    """
    sizes = [of.scored.shape[1] for of in workloads]
    ends = np.cumsum([of.blocks for of in workloads])
    observed, as_extreme, patterns = 0.0, 0, 0
    for signs in sign_patterns(int(ends[-1]), EXACT_UP_TO, SWAPS):
        parts = zip(workloads, np.split(signs > 0, ends[:-1], axis=1), strict=True)
        differences = [_differences(of, keeps) for of, keeps in parts]
        sums = [of.sum(axis=1) for of in differences]
        squares = [(of**2).sum(axis=1) for of in differences]
        mean, error = mean_and_error(sums, squares, sizes)
        statistic = np.abs(mean / error)
        if not patterns:
            observed = statistic[0] - 1e-9 * max(statistic[0], np.abs(mean).max())
        as_extreme += int((statistic >= observed).sum())
        patterns += len(signs)
    return as_extreme / patterns


def chosen_differences(rows: Rows) -> Array:
    """(seeds,): the differences of the scores at the rates that are chosen."""
    return _differences(rows, np.ones((1, rows.blocks), dtype=bool))[0]


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
    # Of rates that are equally good the one in the middle, as `choose_lr` takes.
    middle = is_best.sum(axis=3, keepdims=True) // 2 + 1
    chosen = (np.cumsum(is_best, axis=3) == middle).argmax(axis=3, keepdims=True)
    at_chosen = np.take_along_axis(scored, np.broadcast_to(chosen, (*scored.shape[:3], 1)), axis=3)[..., 0]
    return at_chosen[0] - at_chosen[1]


def _sides(rows: Array, keeps: npt.NDArray[np.bool_]) -> Array:
    """(2, patterns, seeds, rates): each pattern's rows of the first and of the second initializer."""
    kept = keeps[:, :, None]
    return np.stack([np.where(kept, rows[0], rows[1]), np.where(kept, rows[1], rows[0])])


def swapped(runs: pd.DataFrame, scores: pd.DataFrame) -> tuple[dict[frozenset[str], float], bool]:
    """The p values of the pairs of initializers for which the test is exact, and whether others have chosen rates too.

    runs: all runs of the workloads of `scores`, those that choose among them; scores: (workload, seed) by initializer,
    as they are compared. Pairs without a choice of rates are not part of it.
    """
    found, others = {}, False
    rates = runs[runs["selection_score"].notna()].groupby(["workload", "init"])["lr"].nunique()
    with_choice = {init for (_, init), number in rates.items() if number > 1}
    grids = dict(iter(runs[runs["lr"].notna()].groupby(["workload", "init"])))
    for pair in combinations(map(str, scores), 2):
        if not with_choice & set(pair):
            continue
        common = scores[list(pair)].dropna()
        rows = [
            _rows([grids.get((workload, init)) for init in pair], block.index.get_level_values("seed"))
            for workload, block in common.groupby(level="workload", sort=False)
        ]
        whole = [of for of in rows if of is not None]
        if rows and len(whole) == len(rows):
            found[frozenset(pair)] = swap_test(whole)
        else:
            others = True
    return found, others


def _rows(grids: Sequence[pd.DataFrame | None], seeds: pd.Index) -> Rows | None:
    """None where the two were not run at the same rates for every seed that chooses or is scored."""
    if any(grid is None for grid in grids):
        return None
    choosing, scored = [], []
    for grid in (grid.drop_duplicates(["seed", "lr"]) for grid in grids if grid is not None):
        tuning, fresh = grid[grid["is_tuning"]], grid[~grid["is_tuning"]]
        choosing.append((tuning if len(tuning) else fresh).pivot(index="seed", columns="lr", values="selection_score"))
        scored.append(fresh.pivot(index="seed", columns="lr", values="score").reindex(seeds))
    is_tuned = [bool(grid["is_tuning"].any()) for grid in grids if grid is not None]
    if not is_tuned[0]:  # all seeds choose, and these are all
        choosing = [of.reindex(of.index.union(seeds)) for of in choosing]
    tables = [*choosing, *scored]
    is_whole = not any(of.isna().any(axis=None) for of in tables)
    is_alike = all(of.columns.equals(tables[0].columns) for of in tables) and choosing[0].index.equals(
        choosing[1].index
    )
    if not (is_whole and is_alike and is_tuned[0] == is_tuned[1] and (is_tuned[0] or len(choosing[0]) == len(seeds))):
        return None
    if not is_tuned[0]:
        choosing = [of.reindex(seeds) for of in choosing]
    of_choosing, of_scored = (np.stack([of.to_numpy(float) for of in kind]) for kind in (choosing, scored))
    return Rows(of_choosing, of_scored, cross_fitted=not is_tuned[0])
