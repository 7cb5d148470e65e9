"""index.html: one page that opens offline, works with a keyboard, and links every number to its runs."""

import math
import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.verdict.verdict import Verdict
from initbench.record.plain import Row
from initbench.report.content.comparison_tables import heading, overall_table, pairs_table, reference_table
from initbench.report.content.legend import looks
from initbench.report.content.methods import methods
from initbench.report.content.race import race_tables
from initbench.report.content.rank_diagram import rank_diagram
from initbench.report.content.report_plots import Plots
from initbench.report.content.workload_tables import components_table, detail_tables, ranking_table
from initbench.wording import count, visible


def render(verdict: Verdict, plots: Plots, *, title: str, folder: Path, refresh: int | None = None) -> str:
    """The HTML of the page.

    plots: as from `report_plots`; folder: links to records are relative to it; refresh: the page reloads itself after
    so many seconds.
    """
    environment = Environment(loader=PackageLoader("initbench.report"), autoescape=True, undefined=StrictUndefined)
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # best first, first view first
    parts = files("initbench.report") / "templates"
    comparison, metric = verdict.comparison, verdict.comparison.metric
    return environment.get_template("page.html.j2").render(
        title=visible(title),
        css=Markup((parts / "page.css").read_text("utf-8")),
        js=Markup((parts / "page.js").read_text("utf-8")),
        refresh=refresh,
        facts=_facts(comparison),
        verdict=verdict.sentences,
        problems=verdict.problems,
        looks=looks(comparison),
        comparisons=[_comparison(findings, comparison) for findings in comparison.findings],
        races=race_tables(comparison),
        plots=plots[None],
        workloads=[
            {
                "id": ranking.workload_id,
                "title": ranking.workload,
                "ranking": ranking_table(ranking, metric),
                "components": list(components_table(comparison, ranking)),
                "plots": plots[ranking.workload_id],
                "details": list(detail_tables(comparison, ranking)),
            }
            for ranking in reversed(comparison.rankings)
        ],
        filters=_filters(comparison),
        runs=_runs(comparison, folder),
        commands=sorted(comparison.runs["command"].dropna().unique())[:20],
        provenance=_provenance(comparison.runs),
        methods=methods(comparison),
    )


def _comparison(findings: Findings, comparison: Comparison) -> dict[str, Any]:
    diagram = rank_diagram(findings.ranks)
    return {
        "title": heading(findings.workloads, len(comparison.findings)),
        "names": findings.workloads if len(findings.workloads) > 1 else [],
        "overall": overall_table(findings, comparison.metric),
        "reference": None if findings.reference is None else reference_table(findings, comparison.metric),
        "pairs": pairs_table(findings, comparison.metric),
        "ranks": None if diagram is None else Markup(diagram.svg()),
    }


def _facts(comparison: Comparison) -> str:
    runs = comparison.runs
    counts = runs["status"].value_counts()
    outcomes = ", ".join(f"{counts[status]} {status}" for status in counts.index)
    days = sorted(str(day)[:10] for day in runs["finished_at"].dropna())
    when = f"; {days[0]} to {days[-1]}" if days and days[0] != days[-1] else f"; {days[0]}" if days else ""
    kinds = f"{count(runs['init'].nunique(), 'initializer')}, {count(runs['workload'].nunique(), 'workload')}"
    planned = "; run as planned" if len(comparison.plans) == 1 else ""
    return f"{count(len(runs), 'run')} ({outcomes}); {kinds}{when}{planned}"


def _filters(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """The filters of the table of runs: the name of each, and its values with their labels."""
    runs = comparison.runs

    def values(column: str) -> list[tuple[str, str]]:
        return [(str(value), str(value)) for value in sorted(runs[column].dropna().unique(), key=str)]

    # The rates of refused runs may be words.
    rates = sorted(pd.to_numeric(runs["lr"], errors="coerce").dropna().unique())
    seeds = sorted(runs["seed"].dropna().unique(), key=lambda seed: (isinstance(seed, str), seed))
    return [
        ("init", values("init")),
        ("workload", [(ranking.workload_id, ranking.workload) for ranking in comparison.rankings]),
        ("lr", [(f"{rate:g}", f"{rate:g}") for rate in rates]),
        ("seed", [(str(seed), str(seed)) for seed in seeds]),
        ("status", values("status")),
        ("scored", [("yes", "scored"), ("no", "not scored")]),
    ]


def _runs(comparison: Comparison, folder: Path) -> list[Row]:
    """One row per run: what the filters look at, what is shown, and where its files are."""
    metric, scored = comparison.metric, set(comparison.scored.index)
    # From the page to the folders above the runs': to resolve one path per run takes as long as all the rest.
    above = {Path(path).parent for path in comparison.runs["path"] if path is not None}
    ways = {parent: os.path.relpath(parent.resolve(), folder.resolve()) for parent in above}
    targets = {ranking.workload: ranking.target for ranking in comparison.rankings}
    rows = []
    for place, run in zip(comparison.runs.index, comparison.runs.to_dict("records"), strict=True):
        path = None if run["path"] is None else Path(run["path"])
        rate = pd.to_numeric(run["lr"], errors="coerce")
        shown_rate = "" if math.isnan(rate) else f"{rate:g}"
        score = run["score"] if path is None else metric.sign * run[f"test/{metric.name}"]
        rows.append(
            {
                "data": {
                    "init": run["init"],
                    "workload": run["workload_id"],
                    "lr": shown_rate,
                    "seed": run["seed"],
                    "status": run["status"],
                    "scored": "yes" if place in scored else "no",
                },
                "cells": {
                    "status": run["status"],
                    "initializer": run["init"],
                    "workload": run["workload"],
                    "lr": shown_rate,
                    "seed": run["seed"],
                    metric.label: "" if math.isnan(score) else metric.cell(score),
                    "validation": _blank(run.get(f"val/{metric.name}"), ".4f"),
                    "steps to target": _blank(run.get(f"steps_to_{targets[run['workload']]}"), ".0f"),
                    "seconds": _blank(run.get("seconds_train"), ".1f"),
                },
                "reason": visible(run["reason"]) if isinstance(run["reason"], str) else "",
                "record": "" if path is None else _link(ways, path / "record.json"),
                "log": "" if path is None or not (path / "log.txt").exists() else _link(ways, path / "log.txt"),
                "command": run.get("run_command") or "",
            }
        )
    return rows


def _link(ways: Mapping[Path, str], file: Path) -> str:
    """To a file in a run's folder."""
    run = file.parent
    return quote(str(Path(ways[run.parent], run.name, file.name)))


def _blank(value: float | None, form: str) -> str:
    return "" if value is None or math.isnan(value) else f"{value:{form}}"


def _provenance(runs: pd.DataFrame) -> str:
    facts = []
    for column, name in (("processor", "processor"), ("device", "device"), ("torch", "torch"), ("commit", "commit")):
        if values := sorted(map(str, runs[column].dropna().unique())):
            facts.append(f"{name}: {', '.join(values[:5])}")
    return "; ".join(facts)
