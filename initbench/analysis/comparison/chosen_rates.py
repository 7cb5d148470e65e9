"""Which initializers had their learning rates chosen, and for which pairs of them an exact test allows for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import combinations

import numpy as np
import pandas as pd

from initbench.analysis.statistics.row_swaps import Rows, swap_test


@dataclass(frozen=True)
class ChosenRates:
    """Initializers whose learning rates were chosen.

    rows: the pairs for which the test of `statistics.row_swaps` is exact, with the rows of both by workload. For other
    pairs there is no such test: tuned are the initializers whose rates were chosen by seeds that are not scored;
    unmatched those whose rates were chosen by scored seeds, while the other of the pair was not run at the same rates.
    """

    rows: Mapping[tuple[str, str], Mapping[str, Rows]]
    tuned: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()

    @cached_property
    def p(self) -> dict[frozenset[str], float]:
        """The exact p value of each pair in `rows`."""
        return {frozenset(pair): swap_test(list(rows.values())) for pair, rows in self.rows.items()}


def chosen_rates(runs: pd.DataFrame, scores: pd.DataFrame) -> ChosenRates:
    """Which initializers had their learning rates chosen.

    runs: all runs of the workloads of `scores`, including those that chose a rate; scores: the compared ones, index
    (workload, seed), a column for each initializer.
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
    return ChosenRates(
        found,
        tuned=tuple(init for init in named if init in with_tuning),
        unmatched=tuple(init for init in named if init not in with_tuning),
    )


def _rows(grids: Sequence[pd.DataFrame | None], seeds: pd.Index) -> Rows | None:
    """The rows of the seeds with which both were run at every rate; None if there are none, or the rates differ."""
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
    """The seeds for which no table lacks a rate."""
    return reduce(lambda seeds, of: seeds.intersection(of.dropna().index, sort=False), tables, tables[0].index)
