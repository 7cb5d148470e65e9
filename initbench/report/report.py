"""The report of a study: one folder with all that its records say."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from plotly.offline import get_plotlyjs

from initbench.analysis.between_studies import AT
from initbench.analysis.findings import Findings
from initbench.analysis.frame import load_runs
from initbench.analysis.verdict import Verdict
from initbench.analysis.workloads import name_workloads
from initbench.record.store import atomic_write
from initbench.report.markdown import markdown
from initbench.report.page import render
from initbench.report.plots import Plots, plots

FOLDER = "report"  # in the study's own


def load(studies: Sequence[Path]) -> pd.DataFrame:
    """The runs of one study, or of several. An initializer that several have run on one workload becomes one per
    study: `orthogonal @ new`.

    Raises ValueError for a folder that is missing or has no records of its own.
    """
    frames = []
    for study, name in zip(studies, names_of(studies), strict=True):
        runs = load_runs(study)
        inside = sorted({str(Path(path).parent) for path in runs["path"]} - {str(study)})
        if runs.empty or inside:
            what = (
                f"is not a study; these folders in it are: {', '.join(inside[:5])}"
                if inside
                else "has no records of runs" + (" that can be read" if runs.attrs["unreadable"] else "")
            )
            raise ValueError(f"{study} {what}")
        frames.append(runs.assign(study=name))
    runs = name_workloads(pd.concat(frames, ignore_index=True)) if len(frames) > 1 else frames[0]
    shared = runs.groupby(["workload_id", "init"])["study"].transform("nunique") > 1
    of_both = runs["init"].isin(runs.loc[shared, "init"])
    runs = runs.assign(init=runs["init"].where(~of_both, runs["init"] + AT + runs["study"]))
    runs.attrs["unreadable"] = [message for frame in frames for message in frame.attrs["unreadable"]]
    return runs


def names_of(studies: Sequence[Path]) -> list[str]:
    """What studies are called: by their folders, with as many of the folders above as tell them apart.

    Raises ValueError for a study that is there twice.
    """
    paths = [study.resolve() for study in studies]
    if twice := [path for at, path in enumerate(paths) if path in paths[:at]]:
        raise ValueError(f"{twice[0]} is named twice")
    longest = max(len(path.parts) for path in paths)
    names = (["/".join(path.parts[-depth:]) for path in paths] for depth in range(1, longest + 1))
    return next(of for of in names if len(set(of)) == len(of))


def write_page(verdict: Verdict, folder: Path, title: str, refresh: int | None = None) -> Path:
    """Write `index.html` and the script that draws its plots into `folder`; the path of the page."""
    return draw_page(verdict, plots(verdict.comparison), folder, title, refresh)


def write_report(verdict: Verdict, folder: Path, title: str) -> Path:
    """Write the page, report.md, verdict.json, results.csv, pairs.csv, and in `figures/` what a paper needs; the path
    of the page."""
    drawn = plots(verdict.comparison)
    page = draw_page(verdict, drawn, folder, title)
    write_rest(verdict, drawn, folder, title)
    return page


def draw_page(verdict: Verdict, drawn: Plots, folder: Path, title: str, refresh: int | None = None) -> Path:
    """`write_page`, with the plots that are made already."""
    page = render(verdict, drawn, title=title, folder=folder, refresh=refresh)
    script = folder / "plotly.min.js"
    if not script.exists():
        atomic_write(script, get_plotlyjs().encode())
    atomic_write(folder / "index.html", page.encode())
    return folder / "index.html"


def write_rest(verdict: Verdict, drawn: Plots, folder: Path, title: str) -> None:
    """All but the page."""
    from initbench.report import latex
    from initbench.report.paper import write_figures  # matplotlib, which a sweep's end does without

    comparison = verdict.comparison
    sign = comparison.metric.sign
    results = comparison.runs.drop(columns="workload_config")
    results = results.assign(**{name: sign * results[name] for name in ("score", "selection_score", "chance")})
    pairs = pd.concat([pd.DataFrame(), *(_pairs(findings) for findings in comparison.findings)])
    for name, table in (("results.csv", results), ("pairs.csv", pairs)):
        atomic_write(folder / name, table.to_csv(index=False).encode())
    atomic_write(folder / "report.md", markdown(verdict, title).encode())
    atomic_write(folder / "verdict.json", json.dumps(verdict.to_dict(), indent=1, allow_nan=False).encode())
    write_figures(comparison, drawn, folder / "figures")
    atomic_write(folder / "figures" / "ranking.tex", latex.rankings(comparison).encode())
    atomic_write(folder / "figures" / "pairs.tex", latex.pairs(comparison).encode())


def _pairs(findings: Findings) -> pd.DataFrame:
    """Every two initializers; with a reference also those of it, whose p_holm is corrected for them alone."""
    tables = {"all pairs": findings.pairs}
    if findings.reference is not None:
        tables["reference"] = findings.against_reference.reset_index(names="b").assign(a=findings.reference)
    workloads = "; ".join(findings.workloads)
    return pd.concat([table.assign(corrected_for=of, workloads=workloads) for of, table in tables.items()])
