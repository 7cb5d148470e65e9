"""What the scores of initializers that share workloads and seeds show, before anything is decided."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from initbench.analysis.comparison.chosen_rates import ChosenRates, chosen_rates
from initbench.analysis.statistics.aggregate import Ranks, average_ranks, interquartile_mean, share_best
from initbench.analysis.statistics.blocks import rounding
from initbench.analysis.statistics.crossover import crossover
from initbench.analysis.statistics.pairs import compare, improvements

LEVEL = 0.05


@dataclass(frozen=True)
class Evidence:
    """The statistics of a set of initializers, each computed once.

    scores: index (workload, seed), a column for each initializer, higher is better, NaN where a run is missing; runs:
    all runs of these workloads, also those that chose a learning rate; margin: the smallest difference that matters, in
    the unit of the scores, None if it is not known; level: the error rate of all claims about these initializers.
    """

    scores: pd.DataFrame
    runs: pd.DataFrame
    margin: float | None = None
    level: float = LEVEL

    @cached_property
    def complete(self) -> pd.DataFrame:
        """The scores of the blocks that all initializers have."""
        return self.scores.dropna()

    @property
    def workloads(self) -> list[str]:
        """The names of the workloads."""
        return list(dict.fromkeys(map(str, self.scores.index.get_level_values("workload"))))

    @cached_property
    def seeds(self) -> tuple[int, int]:
        """How many complete seeds the workload with the fewest has, and the one with the most."""
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
        """Average ranks over the complete blocks, see `statistics.aggregate.average_ranks`."""
        return average_ranks(self.complete)

    @cached_property
    def chosen_rates(self) -> ChosenRates:
        """Whose learning rates were chosen, with the exact p values of the pairs for which there are any."""
        return chosen_rates(self.runs, self.scores)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Comparisons of every two initializers, see `statistics.pairs.compare`."""
        return compare(self.scores, self.margin, swapped=self.chosen_rates.p)

    @cached_property
    def improvements(self) -> dict[tuple[str, str], tuple[float, float, float]]:
        """For each row of `pairs`, by its a and b: see `statistics.pairs.improvements`."""
        return improvements(self.scores, list(zip(self.pairs["a"], self.pairs["b"], strict=True)))

    @cached_property
    def best_by_workload(self) -> dict[str, str]:
        """By workload the initializer with the best mean; among equals, the one that is better over all workloads."""
        means = self.complete.groupby(level="workload", sort=False).mean()[list(self.overall.index)]
        top = means.max(axis=1)
        is_best = means.ge(top - rounding(top), axis=0)
        return {str(workload): str(row.idxmax()) for workload, row in is_best.iterrows()}

    @cached_property
    def differs_between_workloads(self) -> float:
        """p value of the hypothesis that one initializer is best in every workload, see `statistics.crossover`."""
        return crossover(self.complete, self.chosen_rates.rows)

    @property
    def can_tell_workloads_apart(self) -> bool:
        """Whether there are enough seeds for `differs_between_workloads` to fall below the level."""
        tests = len(self.workloads) * (self.scores.shape[1] - 1)
        return tests * 0.5 ** self.seeds[0] < self.level
