"""What can be compared with what: sets of initializers that have runs on the same workloads and seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import pandas as pd


@dataclass(frozen=True)
class Scope:
    """Initializers that are compared, and the workloads over which they are."""

    inits: tuple[str, ...]
    workloads: tuple[str, ...]


def scopes(scores: pd.DataFrame) -> list[Scope]:
    """The comparisons that a set of runs allows, the one of most runs first; no workload is in two of them.

    scores: index (workload, seed), a column for each initializer, NaN where a run is missing. An initializer takes part
    in a workload where it has at least half as many seeds as any other, and a workload in a comparison where all of the
    comparison's initializers take part and share a seed. Of all sets of two or more initializers, the one is taken that
    uses the most runs beyond the first seed, which by itself says nothing; then that of the remaining workloads, and so
    on. With the same initializers in every workload that is one comparison of all of them.
    """
    members = _members(scores)
    left = {workload: inits for workload, inits in members.items() if len(inits) >= 2}
    found: list[Scope] = []
    while left:
        candidates = {*left.values(), *(a & b for a, b in combinations(set(left.values()), 2))}
        seeds = {inits: _seeds(scores, inits, left) for inits in candidates if len(inits) >= 2}
        best = max(seeds, key=lambda inits: (*_worth(inits, seeds[inits]), sorted(inits)))
        if seeds[best].empty or (found and seeds[best].max() == 1):
            break  # one seed says nothing that would be worth a comparison of its own
        within = tuple(workload for workload in left if workload in seeds[best].index)
        found.append(Scope(tuple(init for init in map(str, scores) if init in best), within))
        left = {workload: inits for workload, inits in left.items() if workload not in within}
    return found


def left_out(scores: pd.DataFrame, found: list[Scope]) -> dict[str, str]:
    """Why a workload is in no comparison, by its name, for those that have runs with a score."""
    members, inside = _members(scores), {workload for scope in found for workload in scope.workloads}
    reasons = {}
    for workload, inits in members.items():
        present = [str(init) for init in scores if scores.loc[[workload], init].notna().any()]
        if workload in inside or not present:
            continue
        if len(present) == 1:
            reasons[workload] = f"only {present[0]} has runs on it"
        elif len(inits) == 1:
            reasons[workload] = f"only {next(iter(inits))} has enough seeds on it"
        else:
            shared = (scores.loc[[workload]].notna().sum(axis=1) > 1).any()
            reasons[workload] = f"{'only one' if shared else 'no'} seed is shared by two initializers"
    return reasons


def partial(scores: pd.DataFrame, found: list[Scope]) -> Iterator[tuple[str, list[str], Scope]]:
    """The initializers that have runs on workloads of a comparison but are not part of it, with these workloads."""
    for scope in found:
        rows = scores[scores.index.get_level_values("workload").isin(scope.workloads)]
        for init in (str(init) for init in scores if init not in scope.inits):
            has = rows[init].dropna().index.get_level_values("workload").unique()
            if len(has):
                yield init, [workload for workload in scope.workloads if workload in has], scope


def _members(scores: pd.DataFrame) -> dict[str, frozenset[str]]:
    """The initializers that take part in each workload."""
    counts = scores.groupby(level="workload", sort=False).count()
    enough = counts.gt(0) & (2 * counts).ge(counts.max(axis=1), axis=0)
    return {str(workload): frozenset(map(str, row.index[row])) for workload, row in enough.iterrows()}


def _worth(inits: frozenset[str], seeds: pd.Series) -> tuple[int, int, int]:
    """Runs beyond the first seed of each workload; runs; initializers."""
    return len(inits) * int((seeds - 1).sum()), len(inits) * int(seeds.sum()), len(inits)


def _seeds(scores: pd.DataFrame, inits: frozenset[str], left: dict[str, frozenset[str]]) -> pd.Series:
    """The number of seeds that all of `inits` share on each workload.

    A workload with one seed is left out where others have more: with it there would be no intervals.
    """
    complete = scores[list(inits)].dropna()
    sizes = complete.groupby(level="workload", sort=False).size()
    sizes = sizes[[inits <= left.get(str(workload), frozenset()) for workload in sizes.index]]
    return sizes[sizes > 1] if (sizes > 1).any() else sizes
