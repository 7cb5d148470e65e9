"""The verdict on a set of runs, whoever made them: `initbench.verdict(frame, score="val_loss", ...)`."""

from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.comparison.more_seeds import settle
from initbench.analysis.loading.frame import COLUMNS
from initbench.analysis.loading.table import from_table, one_line
from initbench.analysis.verdict.sentence import Sentence
from initbench.analysis.verdict.sentences import sentences
from initbench.errors import unknown
from initbench.metric import ACCURACY, Metric, check_margin, check_number
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
        if not isinstance(folder, str | Path) or not str(folder):
            raise ValueError(f"folder must be a path, got {folder!r}")
        if not isinstance(title, str):
            raise ValueError(f"title must be text, got {title!r}")
        from initbench.report.write import write_report

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
            "rates_are_swapped": found.rates_are_swapped,
            "at_chosen_rates": found.at_chosen_rates,
            "unmatched_rates": found.unmatched_rates,
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

    def _values(self, table: pd.DataFrame, *columns: list[str]) -> pd.DataFrame:
        """Scores as values of the metric; the ends of an interval swap where less is better."""
        sign = self.comparison.metric.sign
        return table.assign(
            **{name: sign * table[of] + 0.0 for group in columns for name, of in zip(group, group[::sign], strict=True)}
        )


def verdict(
    frame: pd.DataFrame,
    score: Hashable = None,
    higher_is_better: bool = True,
    *,
    init: Hashable = "init",
    workload: Hashable | Sequence[Hashable] = (),
    seed: Hashable = "seed",
    unit: str = "",
    chance: float | None = None,
    margin: float | None = None,
    reference: str | None = None,
) -> Verdict:
    """Which initializer to use, and how sure that is, from one row per run, whoever made it.

    frame: from `initbench.load_runs` (of the other arguments only `margin` and `reference` apply), or any table with
    one row per run, whose columns `score`, `init`, `workload` (one, or a list that distinguishes workloads together)
    and `seed` name. Any methods can take the place of initializers. Runs with the same seed are compared in pairs.

    unit: "share" shows scores of 0 to 1 as percentages, and their differences in points; anything else is a label.
    chance: the score of a network that has learned nothing, given to runs without a finite score. margin: the smallest
    difference that matters, in points of a share (default 0.5), else in the unit of the score. reference: the
    initializer to compare with each of the others, instead of all pairs.

    Raises ValueError, in one line, for invalid arguments or data: see `loading.table.from_table`.
    """
    if not isinstance(frame, pd.DataFrame):
        raise ValueError(f"frame must be a pandas DataFrame, got {type(frame).__name__}")
    smallest, compared_with = check_margin(margin), None if reference is None else str(reference)
    if score is None:
        of_table = (higher_is_better, init, workload, seed, unit, chance) != (True, "init", (), "seed", "", None)
        if of_table or not COLUMNS.issubset(frame):
            raise ValueError(f"score= must name the column of scores. Columns: {', '.join(map(str, frame.columns))}")
        if frame.empty:
            raise ValueError("the frame has no rows")
        runs, metric = frame, ACCURACY
    else:
        metric = metric_of(one_line(str(score)), higher_is_better, unit, chance)
        workloads = list(workload) if isinstance(workload, list | tuple) else [workload]
        runs = from_table(frame, metric, score=score, init=init, workload=workloads, seed=seed)
    if compared_with is not None and compared_with not in set(runs["init"]):
        raise unknown("reference", compared_with, set(map(str, runs["init"])))
    return Verdict(Comparison(runs, metric, smallest, compared_with))


def metric_of(score: str, higher_is_better: bool, unit: str = "", chance: float | None = None) -> Metric:
    """The metric that a user describes; ValueError for a description that makes no sense."""
    if not isinstance(higher_is_better, bool | np.bool_):
        raise ValueError(f"higher_is_better must be True or False, got {higher_is_better!r}")
    if not isinstance(unit, str):
        raise ValueError(f"unit must be text, got {unit!r}")
    is_share = unit == "share"
    level = check_number(chance, "chance")
    if is_share and level is not None and not 0 <= level <= 1:
        raise ValueError(f"chance must be a share of 0 to 1, got {level:g}")
    perfect = float(higher_is_better) if is_share else None
    return Metric(score, score, bool(higher_is_better), is_share, "" if is_share else unit, perfect, level)


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.rename_axis("init").reset_index().to_dict("records")
    return rows
