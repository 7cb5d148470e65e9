"""The verdict on a set of runs, whoever made them: `initbench.verdict(frame, score="val_loss", ...)`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from initbench.analysis.comparison import Comparison
from initbench.analysis.findings import Findings
from initbench.analysis.sentences import sentences
from initbench.analysis.settle import settle
from initbench.analysis.table import from_table
from initbench.analysis.words import Sentence
from initbench.metric import ACCURACY, Metric
from initbench.record.store import finite

SCHEMA = 1


@dataclass(frozen=True)
class Verdict:
    """Which initializer to use, and how sure that is: `print(verdict)`, or its parts."""

    comparison: Comparison

    @cached_property
    def sentences(self) -> list[Sentence]:
        """The sentences, each with its kind; the first answers the question."""
        return sentences(self.comparison)

    def __str__(self) -> str:
        return "\n".join(map(str, self.sentences))

    def report(self, folder: str | Path, title: str = "Comparison") -> Path:
        """Write the page, Markdown, JSON, CSV and LaTeX tables and figures into `folder`; return the page's path."""
        from initbench.report.report import write_report

        return write_report(self, Path(folder), title)

    def to_dict(self) -> dict[str, Any]:
        """verdict.json: see docs/comparison.md for its keys. What is not known is None."""
        comparison, metric = self.comparison, self.comparison.metric
        content = {
            "schema": SCHEMA,
            "metric": {"name": metric.label, "higher_is_better": metric.higher_is_better, "unit": metric.points},
            "margin": comparison.points,
            "reference": comparison.reference,
            "sentences": [asdict(sentence) for sentence in self.sentences],
            "comparisons": [self._comparison(findings) for findings in comparison.findings],
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
            "left_out": [{"name": name, "reason": reason} for name, reason in comparison.left_out],
            "problems": [asdict(problem) for problem in comparison.problems],
        }
        plain: dict[str, Any] = finite(content)
        return plain

    def _comparison(self, found: Findings) -> dict[str, Any]:
        more = settle(found)
        return {
            "workloads": found.workloads,
            "initializers": list(map(str, found.overall.index)),
            "seeds": list(found.seeds),
            "level": found.level,
            "at_chosen_rates": found.at_chosen_rates,
            "winner": found.winner,
            "leader": found.leader,
            "least_lead": found.least_lead if found.winner == found.leader else None,
            **{key: getattr(found, key) for key in ("better", "worse", "equal", "ties", "open", "apart")},
            "best_by_workload": found.best_by_workload,
            "p_differs_between_workloads": found.differs_between_workloads,
            "overall": _rows(self._values(found.overall, ["mean"], ["low", "iqm", "high"])),
            "pairs": found.pairs.to_dict("records"),
            "against_reference": [] if found.reference is None else _rows(found.against_reference),
            "next": None if more is None else asdict(more),
        }

    def _values(self, table: pd.DataFrame, *columns: list[str]) -> pd.DataFrame:
        """Scores as values of the metric; the ends of an interval swap where less is better."""
        sign = self.comparison.metric.sign
        return table.assign(
            **{name: sign * table[of] for group in columns for name, of in zip(group, group[::sign], strict=True)}
        )


def verdict(
    frame: pd.DataFrame,
    score: str | None = None,
    higher_is_better: bool = True,
    *,
    init: str = "init",
    workload: str | Sequence[str] = (),
    seed: str = "seed",
    unit: str = "",
    chance: float | None = None,
    margin: float | None = None,
    reference: str | None = None,
) -> Verdict:
    """Which initializer to use, and how sure that is, from one row per run, whoever made it.

    frame: from `initbench.load_runs` (no other argument is needed), or any table with one row per run, whose columns
    `score`, `init`, `workload` (one, or several that distinguish workloads together) and `seed` name. Any methods can
    take the place of initializers. Runs with the same seed are compared in pairs.

    unit: "share" shows scores of 0 to 1 as percentages, and their differences in points; anything else is a label.
    chance: the score of a network that has learned nothing, given to runs without a finite score. margin: the smallest
    difference that matters, in points of a share (default 0.5), else in the unit of the score. reference: the
    initializer to compare with each of the others, instead of all pairs.

    Raises ValueError, in one line, for invalid arguments or data: see `initbench.analysis.table.from_table`.
    """
    if score is None:
        if not {"workload", "init", "seed", "score", "status"} <= set(frame):
            raise ValueError(f"score= must name the column of scores. Columns: {', '.join(map(str, frame.columns))}")
        if frame.empty:
            raise ValueError("the frame has no rows")
        return Verdict(Comparison(frame, ACCURACY, margin, reference))
    metric = metric_of(score, higher_is_better, unit, chance)
    workloads = [workload] if isinstance(workload, str) else list(workload)
    runs = from_table(frame, metric, init=init, workload=workloads, seed=seed)
    return Verdict(Comparison(runs, metric, margin, reference))


def metric_of(score: str, higher_is_better: bool, unit: str = "", chance: float | None = None) -> Metric:
    """The metric that a user describes; ValueError for a chance level that is no number."""
    if chance is not None and not abs(chance) < 1e50:
        raise ValueError(f"chance must be a finite number, got {chance!r}")
    is_share = unit == "share"
    perfect = float(higher_is_better) if is_share else None
    return Metric(score, score, higher_is_better, is_share, "" if is_share else unit, perfect, chance)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.rename_axis("init").reset_index().to_dict("records")
    return rows
