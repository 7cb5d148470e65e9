"""The verdict on a comparison: its sentences, its problems, and all of it as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from initbench import notebook
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.comparison.more_seeds import MoreSeeds
from initbench.analysis.race.raced import Raced
from initbench.analysis.verdict.problems import Problem, problems
from initbench.analysis.verdict.sentence import Sentence
from initbench.analysis.verdict.sentences import sentences
from initbench.record.plain import Row
from initbench.record.store import finite

SCHEMA = 1


@dataclass(frozen=True, repr=False)
class Verdict:
    """Which initializer to use, and how sure that is: `print(verdict)`, or its parts."""

    comparison: Comparison

    @cached_property
    def sentences(self) -> list[Sentence]:
        """The sentences with their kinds; the first one answers the question."""
        return sentences(self.comparison)

    @cached_property
    def problems(self) -> list[Problem]:
        """What is missing, failed or doubtful about the runs, the serious first."""
        return problems(self.comparison.runs, self.comparison.rankings)

    def __str__(self) -> str:
        return "\n".join(map(str, self.sentences))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return notebook.block(*self._html())

    def _html(self) -> Iterator[str]:
        """The sentences, with the answer in bold type, then the problems."""
        for place, sentence in enumerate(self.sentences):
            yield notebook.paragraph(sentence.text, strong=place == 0)
            if sentence.commands:
                yield notebook.commands(sentence.commands)
        if self.problems:
            yield notebook.bullets([problem.text for problem in self.problems])

    def to_dict(self) -> dict[str, Any]:
        """The content of verdict.json, whose keys are in docs/explanation/comparison.md; unknown values are None."""
        comparison, metric = self.comparison, self.comparison.metric
        content = {
            "schema": SCHEMA,
            "metric": {"name": metric.label, "higher_is_better": metric.higher_is_better, "unit": metric.points},
            "margin": comparison.points,
            "reference": comparison.reference,
            "sentences": [asdict(sentence) for sentence in self.sentences],
            "comparisons": [
                self._comparison(findings, more)
                for findings, more in zip(comparison.findings, comparison.more_seeds, strict=True)
            ],
            "races": [self._race(race) for race in comparison.races],
            "workloads": [
                {
                    "workload": ranking.workload,
                    "target": None if ranking.target is None else float(ranking.target),
                    "ranking": _rows(self._values(ranking.table, ["mean"], ["iqm_low", "iqm", "iqm_high"])),
                }
                for ranking in comparison.rankings
            ],
            "times": [
                {"workload": of.workload, "target": float(of.target), "times": _rows(of.table)}
                for of in comparison.times
            ],
            "new_data": [
                {
                    "workload": of.workload,
                    "samples": of.samples,
                    **dict(zip(("share", "share_low", "share_high"), of.share, strict=True)),
                    "means": _rows(self._values(of.means, ["mean"], ["low", "high"], ["new_low", "new_high"])),
                    "pairs": of.pairs.to_dict("records"),
                }
                for of in comparison.new_data
            ],
            "crossed": [
                {
                    "workload": of.workload,
                    "levels": of.levels,
                    "components": [
                        {"init": init, "part": name, **part._asdict()}
                        for init, parts in of.parts.items()
                        for name, part in parts.items()
                    ],
                    "missing": of.missing,
                }
                for of in comparison.crossed
            ],
            "left_out": [{"name": name, "reason": reason} for name, reason in comparison.left_out],
            "problems": [asdict(problem) for problem in self.problems],
        }
        plain: dict[str, Any] = finite(content)
        return plain

    def _comparison(self, found: Findings, more: MoreSeeds | None) -> dict[str, Any]:
        return {
            "workloads": found.workloads,
            "initializers": list(map(str, found.overall.index)),
            "seeds": list(found.seeds),
            "level": found.level,
            "rates_are_swapped": bool(found.chosen_rates.rows),
            "at_chosen_rates": list(found.chosen_rates.tuned),
            "unmatched_rates": list(found.chosen_rates.unmatched),
            "winner": found.winner,
            "leader": found.leader,
            "least_lead": found.least_lead if found.winner == found.leader else None,
            **{
                key: getattr(found, key)
                for key in ("better", "worse", "equal", "interchangeable", "ties", "open", "apart", "apart_above")
            },
            "best_by_workload": found.best_by_workload,
            "p_differs_between_workloads": found.differs_between_workloads,
            "overall": _rows(self._values(found.overall, ["mean"], ["low", "iqm", "high"])),
            "pairs": found.pairs.to_dict("records"),
            "against_reference": [] if found.reference is None else _rows(found.against_reference),
            "next": None if more is None else asdict(more),
        }

    def _race(self, race: Raced) -> dict[str, Any]:
        course, names, scale = race.course, race.inits, self.comparison.metric.sign
        means = race.scores[: course.seeds].mean(axis=0) * scale if course.seeds else [None] * len(names)
        return {
            "workloads": [self.comparison.named(workload) for workload in race.workloads],
            "initializers": list(names),
            "refused": list(race.refused),
            "level": course.rules.level,
            "strict": course.rules.strict,
            "most_seeds": course.rules.most_seeds,
            "seeds": course.seeds,
            "runs": race.runs,
            "is_over": course.is_over,
            "winner": None if course.winner is None else names[course.winner],
            "all_equal": course.all_equal,
            "inside": [{"init": names[init], "mean": means[init]} for init in course.inside],
            "out": [
                {
                    "init": names[of.init],
                    "seeds": of.seeds,
                    "by": names[of.by],
                    "lead": of.lead,
                    "in_every_run": of.is_apart,
                }
                for of in course.exits
            ],
            "looks": [
                {
                    "seeds": look.seeds,
                    "best": names[look.best],
                    "leads": {names[init]: lead for init, lead in look.leads.items()},
                    "bounds": {names[init]: bound for init, bound in look.bounds.items()},
                }
                for look in course.looks
            ],
        }

    def _values(self, table: pd.DataFrame, *columns: list[str]) -> pd.DataFrame:
        """Scores as values of the metric; the ends of an interval swap if lower is better."""
        sign = self.comparison.metric.sign
        return table.assign(
            **{name: sign * table[of] + 0.0 for group in columns for name, of in zip(group, group[::sign], strict=True)}
        )


def _rows(table: pd.DataFrame) -> list[Row]:
    rows: list[Row] = table.rename_axis("init").reset_index().to_dict("records")
    return rows
