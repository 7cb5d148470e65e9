"""The report of a study: one folder with all that its records say."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from plotly.offline import get_plotlyjs

from initbench.analysis.changes import AT
from initbench.analysis.comparison import Comparison
from initbench.analysis.frame import load_runs
from initbench.record.store import atomic_write
from initbench.report.markdown import markdown
from initbench.report.page import render
from initbench.report.plot import Plot
from initbench.report.plots import plots

Drawn = Mapping[str | None, Sequence[Plot]]  # as from `plots.plots`
FOLDER = "report"  # in the study's own


def load(studies: Sequence[Path]) -> pd.DataFrame:
    """The runs of one study, or of several. An initializer that several have run on one task becomes one a study:
    `orthogonal @ new`.

    Raises ValueError for a folder that is missing or holds no record of its own.
    """
    frames = []
    for study in studies:
        runs = load_runs(study)
        inside = sorted({str(Path(path).parent) for path in runs["path"]} - {str(study)})
        if runs.empty or inside:
            where = f": each of these is a study, {', '.join(inside[:5])}" if inside else ""
            raise ValueError(f"{study} holds no record of a run{where}")
        frames.append(runs.assign(study=study.resolve().name))
    runs = pd.concat(frames, ignore_index=True)
    shared = runs.groupby(["task", "init"])["study"].transform("nunique") > 1
    of_both = runs["init"].isin(runs.loc[shared, "init"])
    return runs.assign(init=runs["init"].where(~of_both, runs["init"] + AT + runs["study"]))


def write_page(comparison: Comparison, folder: Path, title: str, refresh: int | None = None) -> Path:
    """Write `index.html` and the script that draws its plots into `folder`; the path of the page."""
    return write_drawn(comparison, dict(plots(comparison)), folder, title, refresh)


def write_report(comparison: Comparison, folder: Path, title: str) -> Path:
    """Write the page, report.md, results.csv, and in `figures/` what a paper needs; the path of the page."""
    drawn = dict(plots(comparison))
    page = write_drawn(comparison, drawn, folder, title)
    write_rest(comparison, drawn, folder, title)
    return page


def write_drawn(comparison: Comparison, drawn: Drawn, folder: Path, title: str, refresh: int | None = None) -> Path:
    page = render(comparison, drawn, title=title, folder=folder, refresh=refresh)
    script = folder / "plotly.min.js"
    if not script.exists():
        atomic_write(script, get_plotlyjs().encode())
    atomic_write(folder / "index.html", page.encode())
    return folder / "index.html"


def write_rest(comparison: Comparison, drawn: Drawn, folder: Path, title: str) -> None:
    from initbench.report.paper import write_figures  # matplotlib, which a sweep's end does without

    atomic_write(folder / "report.md", markdown(comparison, title).encode())
    table = comparison.runs.drop(columns="task_config")
    atomic_write(folder / "results.csv", table.to_csv(index=False).encode())
    write_figures(comparison, drawn, folder / "figures")
