"""A study as a whole: rankings of its tasks, what holds over all of them, how sure that is, what is wrong with it."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from initbench.analysis.aggregate import (
    Ranks,
    average_ranks,
    interquartile_mean,
    performance_profile,
    probability_best,
)
from initbench.analysis.completeness import Problem, problems
from initbench.analysis.paired import compare
from initbench.analysis.ranking import Ranking, rankings, targets_of


@dataclass(frozen=True)
class Comparison:
    """Everything a report says, computed once each."""

    runs: pd.DataFrame

    @cached_property
    def rankings(self) -> list[Ranking]:
        """A ranking a task, the one that ran last at the end."""
        return rankings(self.runs)

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The runs that are compared: one for each task, initializer and seed."""
        return pd.concat([ranking.scored for ranking in self.rankings]) if self.rankings else self.runs

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores by (task, seed), a column an initializer, for `paired` and `aggregate`."""
        rows = self.scored[self.scored["score"].notna()]
        return rows.pivot_table(index=["task", "seed"], columns="init", values="score", aggfunc="first")

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every two initializers: see `paired.compare`."""
        return compare(self.scores)

    @cached_property
    def everywhere(self) -> pd.DataFrame:
        """The scores of initializers that can be compared over all tasks, on the blocks that all of these have.

        They are those with at least half as many seeds in every task as any other. Where a task has no block that all
        of them have, the blocks stay as they are, with gaps.
        """
        by_task = self.scores.groupby(level="task").count()
        enough = by_task.gt(0) & (2 * by_task).ge(by_task.max(axis=1), axis=0)
        scores = self.scores.loc[:, enough.all()]
        complete = scores.dropna()
        is_whole = complete.index.get_level_values("task").nunique() == len(by_task)
        return complete if is_whole else scores

    @cached_property
    def overall(self) -> pd.DataFrame:
        """Over all tasks, best first. Columns: mean (of task means), iqm, low, high, best (its probability), rank."""
        scores = self.everywhere
        table = interquartile_mean(scores)
        table.insert(0, "mean", scores.groupby(level="task").mean().mean())
        table["best"] = probability_best(scores)
        table["rank"] = self.ranks.ranks
        return table.sort_values("mean", ascending=False, kind="stable")

    @cached_property
    def ranks(self) -> Ranks:
        return average_ranks(self.everywhere)

    @cached_property
    def profile(self) -> pd.DataFrame:
        """Dolan and Moré's profile of median steps to each task's hardest target that some run reached."""
        times = {ranking.task: ranking.table["median_steps"] for ranking in self.rankings if ranking.target}
        return performance_profile(pd.DataFrame(times).T.reindex(columns=self.everywhere.columns))

    @cached_property
    def problems(self) -> list[Problem]:
        return problems(self.runs, self.rankings)

    @cached_property
    def targets(self) -> list[str]:
        return targets_of(self.runs)
