"""What a comparison shows. All decisions are made here; `words` and `sentences` only word them.

The winner is named by rank verification: an initializer is best where its p value, not corrected, is below the level
against every rival. The number of rivals needs no correction, as all of the tests have to succeed (Hung & Fithian
2019, Rank verification for exponential families); by simulation with these tests it holds its level for 2 to 8
initializers (docs/comparison.md). "Better than these, but not than those" is another question, and is corrected after
Holm over all pairs.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from initbench.analysis.aggregate import Ranks, average_ranks, interquartile_mean, share_best
from initbench.analysis.crossover import crossover
from initbench.analysis.flips import blocks_needed, lower_bound
from initbench.analysis.pairs import against, compare, holm, improvement
from initbench.analysis.power import seeds_needed, spread
from initbench.analysis.swaps import swapped

LEVEL = 0.05
_SAME = 1e-10  # means that are equal on paper may differ in their last bits


@dataclass(frozen=True)
class Findings:
    """What is found about initializers that share workloads and seeds.

    scores: index (workload, seed), a column for each initializer, higher is better, NaN where a run is missing; runs:
    all runs of these workloads, also those that chose a learning rate; margin: the smallest difference that matters, in
    the unit of the scores, None where that is not known; reference: the initializer that the others are compared with,
    None for the best; level: the error rate of all claims about these initializers.
    """

    scores: pd.DataFrame
    runs: pd.DataFrame
    margin: float | None = None
    reference: str | None = None
    level: float = LEVEL

    @cached_property
    def complete(self) -> pd.DataFrame:
        """The blocks that all initializers have."""
        return self.scores.dropna()

    @property
    def workloads(self) -> list[str]:
        return list(dict.fromkeys(map(str, self.scores.index.get_level_values("workload"))))

    @cached_property
    def seeds(self) -> tuple[int, int]:
        """Complete seeds of the workload with the fewest and of that with the most."""
        sizes = self.complete.groupby(level="workload").size()
        return int(sizes.min()), int(sizes.max())

    @cached_property
    def overall(self) -> pd.DataFrame:
        """Over all workloads, best first. Columns: mean (of workload means), iqm, low, high, best (share), rank."""
        table = interquartile_mean(self.complete)
        table.insert(0, "mean", self.complete.groupby(level="workload").mean().mean())
        table["best"] = share_best(self.complete)
        table["rank"] = self.ranks.ranks
        return table.sort_values("mean", ascending=False, kind="stable")

    @cached_property
    def ranks(self) -> Ranks:
        return average_ranks(self.complete)

    @cached_property
    def _swaps(self) -> tuple[dict[frozenset[str], float], bool]:
        return swapped(self.runs, self.scores)

    @property
    def at_chosen_rates(self) -> bool:
        """Whether learning rates were chosen, and only the chosen ones run for the seeds that are scored."""
        return self._swaps[1]

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every two initializers, see `initbench.analysis.pairs.compare`."""
        return compare(self.scores, self.margin, swapped=self._swaps[0])

    @cached_property
    def improvements(self) -> dict[tuple[str, str], tuple[float, float, float]]:
        """For each row of `pairs`, by its a and b: see `initbench.analysis.pairs.improvement`."""
        return {(a, b): improvement(self.scores, a, b) for a, b in zip(self.pairs["a"], self.pairs["b"], strict=True)}

    @cached_property
    def against_reference(self) -> pd.DataFrame:
        """The reference against each other one; intervals and p_holm hold for these comparisons together."""
        assert self.reference is not None
        pairs = compare(self.scores, self.margin, self.scores.shape[1] - 1, self._swaps[0])
        table = against(pairs, self.reference)
        return table.assign(p_holm=holm(table["p"]), p_equal_holm=holm(table["p_equal"]))

    @cached_property
    def winner(self) -> str | None:
        """The initializer that is verified to be the best; None where none is."""
        pairs = self.pairs[(self.pairs["p"] < self.level) & (self.pairs["difference"] > _SAME)]
        wins = pairs["a"].value_counts()
        return next((str(init) for init, number in wins.items() if number == self.scores.shape[1] - 1), None)

    @cached_property
    def leader(self) -> str:
        """The reference, else the winner, else the initializer with the best mean: the one that sentences are about."""
        return self.reference or self.winner or str(self.overall.index[0])

    @cached_property
    def rivals(self) -> pd.DataFrame:
        """The leader against each other initializer, its largest lead first."""
        return against(self.pairs, self.leader) if self.reference is None else self.against_reference

    @cached_property
    def least_lead(self) -> float:
        """Lower bound, with confidence 1 - level, of the winner's smallest lead: its test inverted."""
        found = []
        for init in self.rivals.index:
            differences = (self.scores[self.leader] - self.scores[init]).dropna()
            workloads = differences.index.get_level_values("workload").factorize()[0]
            found.append(float(lower_bound(differences.to_numpy()[:, None], workloads, self.level / 2)[0]))
        return min(found)

    @cached_property
    def doubtful(self) -> list[str]:
        """Those over which the leader's lead may be due to skewness: see `p_skew` of `pairs.compare`."""
        return [str(init) for init in self.rivals.index[self.rivals["p_skew"] >= self.level]]

    @cached_property
    def ties(self) -> list[str]:
        """The others that have the same score as the leader in every block."""
        same = self.rivals[self.rivals["difference"].abs() < _SAME].index
        blocks = self.complete
        return [str(init) for init in same if (blocks[init] - blocks[self.leader]).abs().max() < _SAME]

    @cached_property
    def can_tell(self) -> bool:
        """Whether there are enough seeds for any difference to be shown."""
        return int(self.rivals["pairs"].max()) >= blocks_needed(alpha=self.level)

    @cached_property
    def better(self) -> list[str]:
        """Those that the leader is better than."""
        return self._below("p_holm", self.rivals["difference"] > _SAME)

    @cached_property
    def worse(self) -> list[str]:
        """Those that are better than the leader, then a reference or ahead only on the seeds that all share."""
        return self._below("p_holm", self.rivals["difference"] < -_SAME)

    @cached_property
    def equal(self) -> list[str]:
        """Those whose mean is within the margin of the leader's.

        All together without a correction, as all tests have to succeed; else corrected after Holm.
        """
        left = [init for init in map(str, self.rivals.index) if init not in self.ties]
        if self.margin is None or not left:
            return []
        of_all = self.pairs["p_equal"] if self.reference is None else self.rivals["p_equal"]
        is_all = bool((of_all.fillna(1.0) < self.level).all())
        return left if is_all else [init for init in self._below("p_equal_holm") if init in left]

    @property
    def all_equal(self) -> bool:
        return len(self.equal) + len(self.ties) == len(self.rivals) and bool(self.equal)

    @cached_property
    def open(self) -> list[str]:
        """Those for which neither better, worse nor equal is shown, nearest first."""
        known = {*self.better, *self.worse, *self.equal, *self.ties}
        nearest = self.rivals["difference"].abs().sort_values(kind="stable").index
        return [] if self.winner == self.leader else [str(init) for init in nearest if init not in known]

    @cached_property
    def apart(self) -> list[str]:
        """Those whose every run is worse than every run of the leader, if chance rarely does that for any pair.

        If two initializers with n runs each are alike, all runs of one are above all of the other with probability
        2 / C(2n, n); over several workloads the chances multiply. For studies too small for the other tests.
        """
        initializers = self.scores.shape[1]
        sizes = self.complete.groupby(level="workload").size()
        chance = math.prod(1 / math.comb(2 * n, n) for n in sizes) * initializers * (initializers - 1)
        if self.can_tell or chance >= self.level:
            return []
        least = self.complete[self.leader].groupby(level="workload").min()
        most = self.complete.groupby(level="workload").max()
        return [str(init) for init in self.rivals.index if (least > most[init]).all()]

    @cached_property
    def best_by_workload(self) -> dict[str, str]:
        """The initializer with the best mean of each workload."""
        means = self.complete.groupby(level="workload", sort=False).mean()
        return {str(workload): str(row.idxmax()) for workload, row in means.iterrows()}

    @cached_property
    def differs_between_workloads(self) -> float:
        """p value that some one initializer is best in every workload, see `initbench.analysis.crossover`."""
        return crossover(self.complete)

    def spread(self, rival: str) -> float:
        """Standard deviation of one seed's difference between the leader and a rival."""
        return spread(self.scores[self.leader] - self.scores[rival])

    def seeds_for(self, rival: str, difference: float) -> int | None:
        """Seeds of each workload with which such a difference from a rival is shown in four of five studies."""
        return seeds_needed(difference, self.spread(rival), len(self.workloads), self.level)

    def _below(self, column: str, where: pd.Series | None = None) -> list[str]:
        is_found = self.rivals[column] < self.level
        return [str(init) for init in self.rivals.index[is_found if where is None else is_found & where]]
