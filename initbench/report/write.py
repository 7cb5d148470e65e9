"""The report of a study: one folder with the page, tables and figures."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from plotly.offline import get_plotlyjs

from initbench.analysis.comparison.findings import Findings
from initbench.analysis.verdict.verdict import Verdict
from initbench.record.store import atomic_write
from initbench.report.content.report_plots import Plots, report_plots
from initbench.report.formats.markdown import markdown
from initbench.report.formats.page import render
from initbench.wording import visible

FIGURES_OF = 10  # workloads, unless all are asked for: to draw more takes longer than the rest of the report


def write_page(verdict: Verdict, folder: Path, title: str, refresh: int | None = None) -> Path:
    """Write `index.html` and the script that draws its plots into `folder`; return the path of the page.

    refresh: the page reloads itself after so many seconds.
    """
    return draw_page(verdict, report_plots(verdict.comparison), folder, title, refresh)


def write_report(verdict: Verdict, folder: Path, title: str, *, all_figures: bool = False) -> Path:
    """Write the page, report.md, verdict.json, results.csv, pairs.csv, new_data.csv and figures/ into `folder`.

    all_figures: figures/ has the plots of all workloads, not only of the first ten of the page. Returns the path of the
    page.
    """
    drawn = report_plots(verdict.comparison)
    page = draw_page(verdict, drawn, folder, title)
    write_rest(verdict, drawn, folder, title, all_figures=all_figures)
    return page


def figures_left_out(verdict: Verdict) -> str:
    """A sentence about the workloads without figures unless all are asked for; empty if there are none."""
    workloads = len(verdict.comparison.rankings)
    if workloads <= FIGURES_OF:
        return ""
    return f"figures/ has the plots of the first {FIGURES_OF} of {workloads} workloads; --all-figures draws the rest"


def draw_page(verdict: Verdict, drawn: Plots, folder: Path, title: str, refresh: int | None = None) -> Path:
    """The same as `write_page`, from plots that were made before."""
    page = render(verdict, drawn, title=title, folder=folder, refresh=refresh)
    script = folder / "plotly.min.js"
    if not script.exists():
        atomic_write(script, get_plotlyjs().encode())
    atomic_write(folder / "index.html", page.encode())
    return folder / "index.html"


def write_rest(verdict: Verdict, drawn: Plots, folder: Path, title: str, *, all_figures: bool = False) -> None:
    """Write everything except the page."""
    # matplotlib takes a second to import, and the end of a sweep does not need it.
    from initbench.report.formats import latex
    from initbench.report.formats.paper_figures import write_figures

    comparison = verdict.comparison
    sign = comparison.metric.sign
    results = comparison.runs.drop(columns=["workload_config", "seeds", "recorded_study"], errors="ignore")
    results = results.assign(**{name: sign * results[name] for name in ("score", "selection_score", "chance")})
    results["metric"] = [getattr(metric, "name", None) for metric in results["metric"]]  # None of a refused run
    pairs = pd.concat([pd.DataFrame(), *(_pairs(findings) for findings in comparison.findings)])
    parts = [{"workload": of["workload"], **row} for of in verdict.to_dict()["crossed"] for row in of["components"]]
    new_data = [of.pairs.assign(workload=of.workload, samples=of.samples) for of in comparison.new_data]
    tables = {"results.csv": results, "pairs.csv": pairs} | ({"new_data.csv": pd.concat(new_data)} if new_data else {})
    tables |= {"components.csv": pd.DataFrame(parts)} if parts else {}
    for name, table in tables.items():
        atomic_write(folder / name, table.map(_cell).to_csv(index=False).encode())
    atomic_write(folder / "report.md", markdown(verdict, title).encode())
    atomic_write(folder / "verdict.json", json.dumps(verdict.to_dict(), indent=1, allow_nan=False).encode())
    of_workloads = [place for place in drawn if place is not None]
    kept = {None, *(of_workloads if all_figures else of_workloads[:FIGURES_OF])}
    write_figures(comparison, {place: drawn[place] for place in drawn if place in kept}, folder / "figures")
    atomic_write(folder / "figures" / "ranking.tex", latex.rankings(comparison).encode())
    atomic_write(folder / "figures" / "pairs.tex", latex.pairs(comparison).encode())


def _cell(value: Any) -> Any:
    """A cell of a CSV file; a spreadsheet would run a text such as `=cmd` as a formula, were it not for the quote."""
    if not isinstance(value, str):
        return value
    return f"'{visible(value)}" if value.startswith(("=", "+", "-", "@")) else visible(value)


def _pairs(findings: Findings) -> pd.DataFrame:
    """Every two initializers; with a reference, its pairs appear again with a p_holm corrected for them alone."""
    tables = {"all pairs": findings.pairs}
    if findings.reference is not None:
        tables["reference"] = findings.against_reference.reset_index(names="b").assign(a=findings.reference)
    workloads = "; ".join(findings.workloads)
    return pd.concat([table.assign(corrected_for=of, workloads=workloads) for of, table in tables.items()])
