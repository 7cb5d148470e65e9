"""The public verdict on runs of initbench or from elsewhere: `initbench.verdict(frame, score="val_loss", ...)`."""

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from initbench import notebook
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.frame import COLUMNS, judged_by
from initbench.analysis.loading.table import from_table, one_line
from initbench.analysis.verdict.verdict import Verdict
from initbench.errors import unknown
from initbench.metric import check_margin, metric_named
from initbench.report.content.workload_tables import ranking_table

_MOST_RANKINGS = 4  # in a notebook


class ReportableVerdict(Verdict):
    """A verdict that can write its report: what `initbench.verdict` returns."""

    def report(self, folder: str | Path, title: str = "Comparison", *, all_figures: bool = False) -> Path:
        """Write the page, Markdown, JSON, CSV and LaTeX tables and figures into `folder`; return the page's path.

        all_figures: figures of all workloads, not only of the first ten.
        """
        if not isinstance(folder, str | Path) or not str(folder):
            raise ValueError(f"folder must be a path, got {folder!r}")
        if not isinstance(title, str):
            raise ValueError(f"title must be text, got {title!r}")
        from initbench.report.write import write_report  # plotly and jinja2, which the sentences do without

        return write_report(self, Path(folder), title, all_figures=all_figures)

    def _html(self) -> Iterator[str]:
        yield from super()._html()
        rankings = self.comparison.rankings[::-1]
        for ranking in rankings[:_MOST_RANKINGS]:
            ranked = ranking_table(ranking, self.comparison.metric)
            rows = [[init, *cells] for init, cells in ranked.rows]
            yield notebook.table(["init", *ranked.columns], rows, title=ranking.workload)
        if len(rankings) > _MOST_RANKINGS:
            yield notebook.paragraph(f"{len(rankings) - _MOST_RANKINGS} more workloads: verdict.report(folder)")


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
) -> ReportableVerdict:
    """Which initializer to use, and how sure that is, from a table with one row per run.

    frame: from `initbench.load_runs` (of the other arguments only `margin` and `reference` apply), or any table with
    one row per run, whose columns `score`, `init`, `workload` (one, or a list that distinguishes workloads together)
    and `seed` name. Any methods can take the place of initializers. Runs with the same seed are compared in pairs.

    unit: "share" shows scores of 0 to 1 as percentages, and their differences in points; anything else is a label.
    chance: the score of a network that has learned nothing, given to runs without a finite score. margin: the smallest
    difference that matters, in points of a share (default 0.5), else in the unit of the score. reference: the
    initializer to compare with each of the others, instead of all pairs.

    A score that is missing, NaN or infinitely bad marks a run that failed: it counts as `chance` or as the worst score
    of its workload, whichever is worse.

    Raises ValueError, in one line, for a frame without rows, a column that is missing or named twice, a score that is
    not a number or, if a share, not within 0 to 1, an empty initializer, workload or seed, a run that is there twice,
    a negative margin, and a reference that is not in the frame.
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
        runs, metric = frame, judged_by(frame)
    else:
        metric = metric_named(one_line(str(score)), higher_is_better, unit, chance)
        workloads = list(workload) if isinstance(workload, list | tuple) else [workload]
        runs = from_table(frame, metric, score=score, init=init, workload=workloads, seed=seed)
    if compared_with is not None and compared_with not in set(runs["init"]):
        raise unknown("reference", compared_with, set(map(str, runs["init"])))
    return ReportableVerdict(Comparison(runs, metric, smallest, compared_with))
