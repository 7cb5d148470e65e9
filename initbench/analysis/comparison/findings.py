"""What a comparison shows. All decisions are made here; `analysis.verdict` only words them.

The winner is named by rank verification: an initializer is the best if its uncorrected p value is below the level
against every rival. The number of rivals needs no correction, as all of the tests have to succeed (Hung & Fithian
2019, Rank verification for exponential families); in simulations with these tests it keeps its level for 2 to 8
initializers (docs/explanation/comparison.md). "Better than these, but not than those" is another question, for which p
values are corrected by Holm's method over all pairs.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from initbench.analysis.comparison.evidence import LEVEL, Evidence
from initbench.analysis.statistics.blocks import seed_weights
from initbench.analysis.statistics.pairs import against, alike, compare, holm, same_as
from initbench.analysis.statistics.sign_flips import lower_bound, seeds_for_flips

LEAST_SEEDS = 4  # the fewest with which anything can be claimed, see Findings.apart


@dataclass(frozen=True)
class Findings(Evidence):
    """What is found about initializers that share workloads and seeds.

    reference: the initializer that the others are compared with; None compares every two; next_level: the level of a
    further look, with more seeds.
    """

    reference: str | None = None
    next_level: float = LEVEL

    @cached_property
    def against_reference(self) -> pd.DataFrame:
        """The reference against each of the others; intervals and p_holm hold for these comparisons together."""
        assert self.reference is not None
        pairs = compare(self.scores, self.margin, self.scores.shape[1] - 1, self.chosen_rates.p)
        table = against(pairs, self.reference)
        return table.assign(p_holm=holm(table["p"]), p_equal_holm=holm(table["p_equal"]))

    @cached_property
    def winner(self) -> str | None:
        """The initializer that is verified to be the best; None if there is none, or if it is not the reference.

        If several have the same score in every run, it is the first of these.
        """
        beaten = self.pairs[(self.pairs["p"] < self.level) & (self.pairs["difference"] > 0)]
        wins = beaten["a"].value_counts()
        for init in (init for init in map(str, self.overall.index) if init in wins):
            best = [init, *same_as(self.scores, init)]
            if wins[init] + len(best) == self.scores.shape[1]:
                if self.reference is None:
                    return init
                return self.reference if self.reference in best else None
        return None

    @cached_property
    def leader(self) -> str:
        """The initializer that sentences are about: the reference, else the winner, else the one with the best mean."""
        return self.reference or self.winner or str(self.overall.index[0])

    @cached_property
    def all_rivals(self) -> pd.DataFrame:
        """The leader against each of the others, its largest lead first."""
        return against(self.pairs, self.leader) if self.reference is None else self.against_reference

    @cached_property
    def ties(self) -> list[str]:
        """The other initializers with the same score as the leader in every run."""
        return same_as(self.scores, self.leader)

    @cached_property
    def rivals(self) -> pd.DataFrame:
        """`all_rivals` without the ties."""
        return self.all_rivals.drop(self.ties)

    @cached_property
    def least_lead(self) -> float:
        """Lower bound of the winner's smallest lead with confidence 1 - level, by inverting its test."""
        found: list[float] = []
        values = self.scores.to_numpy(dtype=float)
        leader, *rivals = self.scores.columns.get_indexer([self.leader, *self.rivals.index])
        for members, common in alike(values, [(leader, rival) for rival in rivals]):
            matrix = seed_weights(*(self.scores.index[common].get_level_values(of) for of in ("workload", "seed")))
            leads = [values[common, leader] - values[common, rivals[at]] for at in members]
            of_seeds = np.array([matrix @ lead for lead in leads]).T
            found += lower_bound(of_seeds, matrix.sum(axis=1), self.level / 2).tolist()
        return min(found)

    @cached_property
    def doubtful(self) -> list[str]:
        """The rivals over which the lead may be due to skewness: see `p_skew` of `statistics.pairs.compare`."""
        return [str(init) for init in self.rivals.index[self.rivals["p_skew"] >= self.level]]

    @property
    def comparisons(self) -> int:
        """The number of comparisons to correct for before a single one of the leader's can be significant."""
        return 1 if self.reference is None else max(len(self.rivals), 1)

    @property
    def least_seeds(self) -> int:
        """The fewest seeds that can show any difference."""
        return seeds_for_flips(self.comparisons, self.level)

    @cached_property
    def can_tell(self) -> bool:
        """Whether there are enough seeds to show any difference."""
        return int(self.rivals["seeds"].to_numpy().max(initial=0)) >= self.least_seeds

    @property
    def least_seeds_for_a_pair(self) -> int:
        """The fewest seeds that can show a difference between two initializers, corrected for all pairs."""
        return seeds_for_flips(int(self.pairs["p"].notna().sum()), self.level)

    @cached_property
    def better(self) -> list[str]:
        """The rivals that the leader is better than."""
        return self._below("p_holm", self.rivals["difference"] > 0)

    @cached_property
    def worse(self) -> list[str]:
        """The rivals that are better than the leader, which is then a reference, or ahead only on the seeds all share.

        If it is all of them, no correction is needed, as all of the tests have to succeed; otherwise Holm's is applied.
        """
        is_behind = self.rivals["difference"] < 0
        if self.reference is not None and (is_behind & (self.rivals["p"] < self.level)).all():
            return list(map(str, self.rivals.index))
        return self._below("p_holm", is_behind)

    @cached_property
    def equal(self) -> list[str]:
        """The rivals whose mean is within the margin of the leader's.

        If it is all of them, no correction is needed, as all of the tests have to succeed; otherwise Holm's is applied.
        """
        if self.margin is None:
            return []
        of_all = self.pairs["p_equal"] if self.reference is None else self.rivals["p_equal"]
        is_all = bool((of_all.fillna(1.0) < self.level).all())
        return list(map(str, self.rivals.index)) if is_all else self._below("p_equal_holm")

    @property
    def as_good(self) -> list[str]:
        """The rivals that are equal to the leader and not shown to be better or worse by less than the margin."""
        return [init for init in self.equal if init not in {*self.better, *self.worse}]

    @cached_property
    def interchangeable(self) -> bool:
        """Whether the leader and those as good as it are equal to each other on every workload; False if none is."""
        every = [self.leader, *self.as_good, *self.ties]
        if len(every) == 1:
            return False
        among = self.pairs[self.pairs["a"].isin(every) & self.pairs["b"].isin(every)]
        column = "p_equal" if len(every) == self.scores.shape[1] else "p_equal_holm"
        on_each = [compare(block[every], self.margin)["p_equal"] for _, block in self.scores.groupby(level="workload")]
        return all(bool((p.fillna(1.0) < self.level).all()) for p in (among[column], *on_each))

    @cached_property
    def open(self) -> list[str]:
        """The rivals that are shown to be neither better, nor worse, nor equal, the nearest first."""
        known = {*self.better, *self.worse, *self.equal}
        nearest = self.rivals["difference"].abs().sort_values(kind="stable").index
        return [] if self.winner == self.leader else [str(init) for init in nearest if init not in known]

    @cached_property
    def apart(self) -> list[str]:
        """The rivals of which every run is worse than every run of the leader, if chance rarely does that to any pair.

        If two initializers with n runs each are alike, all runs of one are above all of the other with probability
        2 / C(2n, n); as the runs of one seed may be alike on all workloads, only one workload counts. This is for
        studies too small for the other tests.
        """
        return self._apart(1)

    @cached_property
    def apart_above(self) -> list[str]:
        """The rivals of which every run is better than every run of the leader, likewise."""
        return self._apart(-1)

    def _apart(self, sign: int) -> list[str]:
        initializers = self.scores.shape[1]
        chance = initializers * (initializers - 1) / math.comb(2 * self.seeds[1], self.seeds[1])
        if self.can_tell or chance >= self.level:
            return []
        by_workload = (sign * self.scores).groupby(level="workload")
        least, most = by_workload.min()[self.leader], by_workload.max()
        return [str(init) for init in self.rivals.index if (least > most[init]).all()]

    def _below(self, column: str, where: pd.Series | None = None) -> list[str]:
        is_found = self.rivals[column] < self.level
        return [str(init) for init in self.rivals.index[is_found if where is None else is_found & where]]
