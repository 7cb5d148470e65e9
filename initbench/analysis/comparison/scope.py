"""What can be compared with what: sets of initializers that have runs on the same workloads and seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd


@dataclass(frozen=True)
class Scope:
    """Initializers that are compared, and the workloads on which they are."""

    inits: tuple[str, ...]
    workloads: tuple[str, ...]


def scopes(scores: pd.DataFrame, reference: str | None = None) -> list[Scope]:
    """The comparisons that a set of runs allows, the one of most runs first; no workload is in two of them.

    scores: index (workload, seed), a column for each initializer, NaN where a run is missing. Initializers can be
    compared on a workload if every two share at least half as many seeds as the two that share most, and all of them
    share two seeds (one, if no two share more). Among the sets that can be compared, the one that uses
    the most runs beyond the first seed is taken (a single seed says nothing), and among equal ones that with the
    reference; then the same among the remaining workloads, and so on. If every workload has the same initializers, this
    is one comparison of all of them.

    There are too many subsets to try them all. The candidates are, for each initializer, the set with those that share
    the most seeds with it, and the intersections of two such sets.
    """
    grids = {str(workload): _Grid.of(block) for workload, block in scores.groupby(level="workload", sort=False)}
    found: list[Scope] = []
    while grids:
        sets = dict.fromkeys(group for grid in grids.values() for group in grid.groups())
        sets |= dict.fromkeys(a & b for a, b in combinations(sets, 2) if len(a & b) >= 2)
        worth = {inits: _worth(inits, grids) for inits in sets}
        worth = {inits: of for inits, of in worth.items() if of}
        if not worth:
            break
        best = max(
            worth,
            key=lambda inits: (
                sum(beyond for beyond, _ in worth[inits].values()),
                reference in inits,
                sum(runs for _, runs in worth[inits].values()),
                sorted(inits),
            ),
        )
        if found and not any(beyond for beyond, _ in worth[best].values()):
            break  # one seed says nothing that would be worth a comparison of its own
        found.append(Scope(tuple(init for init in map(str, scores) if init in best), tuple(worth[best])))
        grids = {workload: grid for workload, grid in grids.items() if workload not in worth[best]}
    return found


@dataclass(frozen=True)
class _Grid:
    """Which runs of a workload exist: (seeds, initializers)."""

    inits: list[str]
    present: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, block: pd.DataFrame) -> "_Grid":
        present = block.notna().to_numpy()
        has = present.any(axis=0)
        return cls([str(init) for init, some in zip(block, has, strict=True) if some], present[:, has])

    def shared(self, places: list[int]) -> npt.NDArray[np.int64]:
        """The number of seeds that two initializers share, (initializers, initializers), with a diagonal of 0."""
        runs = self.present[:, places].astype(int)
        counts = runs.T @ runs
        np.fill_diagonal(counts, 0)
        return counts

    def complete(self, places: list[int]) -> int:
        return int(self.present[:, places].all(axis=1).sum())

    def is_comparable(self, places: list[int]) -> bool:
        pairs = self.shared(places)[np.triu_indices(len(places), 1)]
        most = int(pairs.max(initial=0))
        return most > 0 and 2 * pairs.min() >= most and self.complete(places) >= min(most, 2)

    def groups(self) -> Iterator[frozenset[str]]:
        """Sets that can be compared: all initializers or, for each, those that share the most seeds with it."""
        every = list(range(len(self.inits)))
        if len(every) > 1 and self.is_comparable(every):
            yield frozenset(self.inits)
            return
        shared = self.shared(every)
        for place in every:
            group = [place]
            for other in np.argsort(-shared[place], kind="stable").tolist():
                if other != place and self.is_comparable([*group, other]):
                    group.append(other)
            if len(group) > 1:
                yield frozenset(self.inits[at] for at in group)


def _worth(inits: frozenset[str], grids: dict[str, _Grid]) -> dict[str, tuple[int, int]]:
    """By workload on which these can be compared: the runs beyond each initializer's first seed, and all runs.

    A workload with one seed is left out if others have more, since it would have no spread.
    """
    found, seeds = {}, {}
    for workload, grid in grids.items():
        places = [at for at, init in enumerate(grid.inits) if init in inits]
        if len(places) == len(inits) and grid.is_comparable(places):
            here = grid.present[:, places]
            runs = int(here[here.sum(axis=1) > 1].sum())
            found[workload], seeds[workload] = (runs - len(places), runs), grid.complete(places)
    most = max(seeds.values(), default=0)
    return {workload: of for workload, of in found.items() if seeds[workload] > 1 or most == 1}


def left_out(scores: pd.DataFrame, found: list[Scope]) -> dict[str, str]:
    """Why workloads that have runs with a score are in no comparison, by their names."""
    inside = {workload for scope in found for workload in scope.workloads}
    reasons = {}
    for name, block in scores.groupby(level="workload", sort=False):
        grid = _Grid.of(block)
        if str(name) in inside or not grid.inits:
            continue
        if len(grid.inits) == 1:
            reasons[str(name)] = f"only {grid.inits[0]} has runs on it"
        else:
            some = bool(grid.shared(list(range(len(grid.inits)))).any())
            reasons[str(name)] = f"{'only one' if some else 'no'} seed is shared by two initializers"
    return reasons


def partial(scores: pd.DataFrame, found: list[Scope]) -> Iterator[tuple[str, list[str], Scope]]:
    """Initializers that have runs on workloads of a comparison without being part of it; these workloads; its scope."""
    for scope in found:
        rows = scores[scores.index.get_level_values("workload").isin(scope.workloads)]
        for init in (str(init) for init in scores if init not in scope.inits):
            has = rows[init].dropna().index.get_level_values("workload").unique()
            if len(has):
                yield init, [workload for workload in scope.workloads if workload in has], scope
