"""A study as a whole: what is compared with what, what is found, and the ranking of each workload."""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from initbench.analysis.comparison.evidence import LEVEL
from initbench.analysis.comparison.findings import LEAST_SEEDS, Findings
from initbench.analysis.comparison.more_seeds import MoreSeeds, more_seeds
from initbench.analysis.comparison.scope import Scope, left_out, partial, scopes
from initbench.analysis.loading.frame import judged_by
from initbench.analysis.race.raced import Raced, races
from initbench.analysis.statistics.aggregate import performance_profile
from initbench.analysis.workload.crossed import Crossed, crossed
from initbench.analysis.workload.new_data import NewData, new_data
from initbench.analysis.workload.ranking import Ranking, rankings, targets_of
from initbench.analysis.workload.time_to_target import TimesToTarget, correct, times_to
from initbench.metric import ACCURACY, DEFAULT_MARGIN, Metric, check_margin
from initbench.record.plans import Plan, looks


@dataclass(frozen=True)
class Comparison:
    """Everything that a report is about; each part is computed once.

    runs: as from `load_runs` or `from_table`; margin: the smallest difference that matters, in percentage points for a
    share and in the unit of the metric otherwise; reference: the initializer that the others are compared with.

    Raises ValueError for a margin that is not above 0.
    """

    runs: pd.DataFrame
    metric: Metric = ACCURACY
    margin: float | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        check_margin(self.margin)

    @property
    def points(self) -> float | None:
        """The margin as a user types it; a share has a default."""
        return DEFAULT_MARGIN if self.margin is None and self.metric.is_share else self.margin

    @property
    def margin_text(self) -> str:
        """The margin with its unit; empty if there is none."""
        if self.points is None:
            return ""
        unit = "point" if self.metric.is_share and self.points == 1 else self.metric.points
        return f"{self.points:g} {unit}".rstrip()

    @cached_property
    def plans(self) -> list[Plan]:
        """What was planned before it was run, that of the latest sweep last; none for runs from elsewhere."""
        return list(self.runs.attrs.get("plans", ()))

    @cached_property
    def looks(self) -> list[Plan]:
        """The plans whose results had been seen before the latest one added seeds, or a race."""
        return looks(self.plans)

    @property
    def level(self) -> float:
        """The error rate of what is claimed: each further look at a growing study has half that of the one before."""
        return LEVEL / 2 ** len(self.looks)

    @cached_property
    def races(self) -> list[Raced]:
        """The races, if the latest sweep ran any; nothing else is claimed of them."""
        if not self.plans or self.plans[-1].race is None or self.scored.empty:
            return []
        return races(self.scored, self.plans[-1], len(self.looks))

    def named(self, workload: str) -> str:
        """The name of a workload, from its digest."""
        names = self.runs.loc[self.runs["workload_id"] == workload, "workload"]
        return str(names.iloc[0]) if len(names) else workload

    @cached_property
    def rankings(self) -> list[Ranking]:
        """One ranking per workload, the latest last."""
        return rankings(self.runs)

    @property
    def independent(self) -> list[Ranking]:
        """The rankings of workloads whose runs share no seeds."""
        return [ranking for ranking in self.rankings if not ranking.is_crossed]

    @cached_property
    def crossed(self) -> list[Crossed]:
        """Where the variance comes from, for each workload whose sources of randomness were crossed."""
        return [crossed(ranking, self.metric) for ranking in self.rankings if ranking.is_crossed]

    @cached_property
    def scored(self) -> pd.DataFrame:
        """The runs that are compared: one for each workload, initializer and seed."""
        return pd.concat([ranking.scored for ranking in self.rankings]) if self.rankings else self.runs

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Scores by (workload, seed), a column for each initializer; of independent runs alone."""
        rows = self.scored[self.scored["score"].notna() & self.scored["seeds"].isna()]
        return rows.pivot_table(index=["workload", "seed"], columns="init", values="score", aggfunc="first", sort=True)

    @cached_property
    def scopes(self) -> list[Scope]:
        """The sets of initializers and workloads that are compared, that with the most runs first."""
        return scopes(self.scores, self.reference)

    @cached_property
    def findings(self) -> list[Findings]:
        """Findings for each set of comparable initializers, which share the error rate; none of a race."""
        if self.races:
            return []
        parts = [self._scores_of(scope) for scope in self.scopes]
        testable = [part for part in parts if _shared_seeds(part) >= LEAST_SEEDS]
        margin = None if self.points is None else self.metric.margin(self.points)
        level = self.level / max(len(testable), 1)
        return [
            Findings(
                part,
                self.runs[self.runs["workload"].isin(scope.workloads) & self.runs["init"].isin(scope.inits)],
                margin=margin,
                reference=self.reference if self.reference in scope.inits else None,
                level=level,
                next_level=level / 2 if self.plans else level,  # of runs from elsewhere, looks are not known
            )
            for scope, part in zip(self.scopes, parts, strict=True)
        ]

    @cached_property
    def more_seeds(self) -> list[MoreSeeds | None]:
        """For each of `findings` the seeds that would probably answer what is open there."""
        return [more_seeds(findings, self.margin, self.reference) for findings in self.findings]

    def _scores_of(self, scope: Scope) -> pd.DataFrame:
        rows = self.scores.index.get_level_values("workload").isin(scope.workloads)
        return self.scores.loc[rows, list(scope.inits)]

    @cached_property
    def short_names(self) -> dict[str, str]:
        """For each compared workload the part of its name that tells it apart, for sentences about several."""
        parts = {name: name.split(", ") for scope in self.scopes for name in scope.workloads}
        shared = set.intersection(*map(set, parts.values())) if parts else set()
        return {name: ", ".join(part for part in of if part not in shared) or name for name, of in parts.items()}

    @cached_property
    def main(self) -> Findings | None:
        """The findings of the comparison with the most runs."""
        return self.findings[0] if self.findings else None

    @cached_property
    def left_out(self) -> list[tuple[str, str]]:
        """The workloads and initializers that are not compared, or not on all workloads, and why."""
        found = list(left_out(self.scores, self.scopes).items())
        with_scores = set(self.scores.index.get_level_values("workload"))
        for ranking in self.independent:
            if ranking.workload not in with_scores:
                why = "no run on it has a score"
                if ranking.of_records and (other := judged_by(ranking.scored)).name != self.metric.name:
                    why = f"its runs are judged by {other.label}"
                found.append((ranking.workload, why))
        if self.reference is not None and self.reference not in self.scores:
            versions = [
                init for init in sorted(set(self.runs["init"])) if init.startswith(f"{self.reference} (source ")
            ]
            why = f"name one of its versions: {', '.join(versions)}" if versions else "no run of it has a score"
            found.append((self.reference, f"the reference; {why}"))
        elif self.reference is not None and not any(self.reference in scope.inits for scope in self.scopes):
            found.append((self.reference, "the reference; it shares no workload and seeds with another"))
        for init, has, scope in partial(self.scores, self.scopes):
            everywhere = len(has) == len(scope.workloads)
            few = f"runs on only {len(has)} of {len(scope.workloads)} workloads"
            found.append((init, "too few seeds in common with the others" if everywhere else few))
        return found

    @cached_property
    def times(self) -> list[TimesToTarget]:
        """The times of each workload to each target that some run reached; tests are corrected over all of them."""
        inits = {workload: scope.inits for scope in self.scopes for workload in scope.workloads}
        found = []
        for ranking in self.independent:
            ended = ranking.scored[ranking.scored["score"].notna()]
            ended = ended[ended["init"].isin(inits.get(ranking.workload, tuple(ended["init"])))]
            reached = [target for target in targets_of(ended) if ended[f"steps_to_{target}"].notna().any()]
            found += [times_to(ended, target) for target in reached]
        return correct(found)

    @cached_property
    def new_data(self) -> list[NewData]:
        """What can be said about new data, for each workload whose runs have kept their test samples."""
        found = [new_data(ranking, self.metric) for ranking in self.independent if ranking.of_records]
        return [of for of in found if of is not None]

    @cached_property
    def profile(self) -> pd.DataFrame:
        """Dolan and Moré's profile of the median steps to the hardest target that was reached on each workload."""
        times = {ranking.workload: ranking.table["median_steps"] for ranking in self.rankings if ranking.target}
        inits = list(self.main.overall.index) if self.main else []
        return performance_profile(pd.DataFrame(times).T.reindex(columns=inits))

    @cached_property
    def targets(self) -> list[str]:
        """All targets that runs were watched for, the easiest first."""
        return targets_of(self.runs)


def _shared_seeds(scores: pd.DataFrame) -> int:
    """The number of seeds that two or more initializers have."""
    shared = scores[scores.notna().sum(axis=1) > 1]
    return int(shared.index.get_level_values("seed").nunique())
