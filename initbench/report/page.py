"""index.html: one page that opens offline, works with a keyboard, and leads from every number to its runs."""

import math
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from initbench.analysis.comparison import Comparison
from initbench.analysis.ranking import OUTCOMES, Ranking, number, steps, targets_of
from initbench.analysis.sensitivity import good_range, lr_sensitivity
from initbench.analysis.times import times_to
from initbench.analysis.verdict import against, verdict
from initbench.figures import look
from initbench.report.methods import METHODS
from initbench.report.plot import Plot

_DASHARRAYS = {
    "solid": "",
    "dash": "8 4",
    "dot": "2 3",
    "dashdot": "8 3 2 3",
    "longdash": "13 4",
    "longdashdot": "12 3 2 3",
}
_RUN_COLUMNS = (
    "status",
    "initializer",
    "task",
    "lr",
    "seed",
    "test accuracy",
    "validation",
    "steps to target",
    "seconds",
)


def render(
    comparison: Comparison,
    plots: Mapping[str | None, Sequence[Plot]],
    *,
    title: str,
    folder: Path,
    refresh: int | None = None,
) -> str:
    """The page's HTML. `plots` as from `plots.plots`; links to records are relative to `folder`."""
    environment = Environment(
        loader=PackageLoader("initbench.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}  # best first, first view first
    parts = files("initbench.report") / "templates"
    runs, named = comparison.runs, {ranking.task: ranking.title for ranking in comparison.rankings}
    return environment.get_template("page.html.j2").render(
        title=title,
        css=Markup((parts / "page.css").read_text()),
        js=Markup((parts / "page.js").read_text()),
        refresh=refresh,
        facts=_facts(comparison),
        verdict=verdict(comparison),
        problems=comparison.problems,
        looks=looks(comparison),
        overall=_overall(comparison, plots[None]),
        tasks=[_task(comparison, ranking, plots[ranking.task]) for ranking in reversed(comparison.rankings)],
        plot_table=_plot_table,
        filters=_filters(runs, named),
        run_columns=_RUN_COLUMNS,
        runs=_runs(comparison, named, folder),
        commands=sorted(runs["command"].dropna().unique())[:20] if "command" in runs else [],
        provenance=_provenance(runs),
        methods=METHODS,
    )


def legend(comparison: Comparison) -> list[str]:
    """All initializers, best first: those of every task, then the others as tasks have them."""
    names = [*comparison.overall.index, *(init for ranking in comparison.rankings for init in ranking.table.index)]
    return list(dict.fromkeys(map(str, [*names, *comparison.runs["init"]])))


def looks(comparison: Comparison) -> dict[str, dict[str, str]]:
    """Colour and dash of each initializer, the same in all plots."""
    found = {}
    for index, init in enumerate(legend(comparison)):
        colour, dash = look(index)
        css = "var(--ink)" if colour == "#000000" else colour
        found[init] = {"colour": colour, "css": css, "dash": dash, "dasharray": _DASHARRAYS[dash]}
    return found


def _facts(comparison: Comparison) -> str:
    runs = comparison.runs
    counts = runs["status"].value_counts()
    outcomes = ", ".join(f"{counts[status]} {status}" for status in counts.index)
    days = sorted(str(day)[:10] for day in runs["finished_at"].dropna())
    when = f"; {days[0]} to {days[-1]}" if days and days[0] != days[-1] else f"; {days[0]}" if days else ""
    kinds = f"{runs['init'].nunique()} initializers, {runs['task'].nunique()} tasks"
    return f"{len(runs)} runs ({outcomes}); {kinds}{when}"


def _overall(comparison: Comparison, plots: Sequence[Plot]) -> dict[str, Any] | None:
    overall = comparison.overall
    if overall.empty:
        return None
    rivals = against(comparison.pairs, str(overall.index[0])) if len(comparison.pairs) else pd.DataFrame()
    rows = []
    for init, row in overall.iterrows():
        rival = rivals.loc[init] if init in rivals.index else None
        rows.append(
            {
                "init": str(init),
                "mean": number(row["mean"], ".4f"),
                "iqm": number(row["iqm"], ".4f"),
                "interval": interval(row["low"], row["high"], ".4f"),
                "best": number(row["best"], ".0%"),
                "rank": number(row["rank"], ".2f"),
                "behind": "" if rival is None else number(100 * rival["difference"], ".2f"),
                "behind_interval": "" if rival is None else interval(100 * rival["low"], 100 * rival["high"], ".2f"),
                "p": "" if rival is None else p_value(rival["p_holm"]),
            }
        )
    return {
        "plots": plots,
        "rows": rows,
        "pairs": [_pair(row) for _, row in comparison.pairs.iterrows()],
        "note": _ranks(comparison),
    }


def _pair(row: pd.Series) -> dict[str, str]:
    return {
        "a": str(row["a"]),
        "b": str(row["b"]),
        "pairs": str(int(row["pairs"])),
        "difference": number(100 * row["difference"], "+.2f"),
        "interval": interval(100 * row["low"], 100 * row["high"], "+.2f"),
        "p": p_value(row["p"]),
        "p_holm": p_value(row["p_holm"]),
        "improvement": number(row["improvement"], ".2f"),
    }


def _ranks(comparison: Comparison) -> str:
    ranks = comparison.ranks
    if math.isnan(ranks.critical_difference):
        return "Differences are in percentage points."
    return (
        f"Differences are in percentage points. Average ranks are over {ranks.blocks} blocks (task, seed); two differ if "
        f"they are further apart than {ranks.critical_difference:.2f} (Nemenyi, 5 %); Friedman's test of all at once: "
        f"p = {p_value(ranks.friedman_p)}."
    )


def _task(comparison: Comparison, ranking: Ranking, plots: Sequence[Plot]) -> dict[str, Any]:
    columns, rows = task_table(ranking)
    sensitivity = lr_sensitivity(comparison.runs[comparison.runs["task"] == ranking.task])
    rates = sorted(sensitivity["lr"].unique())
    good = good_range(sensitivity)
    means = {(row.init, row.lr): row for row in sensitivity.itertuples()}
    by_rate = [
        {
            "init": init,
            "cells": [(f"{rate:g}", _rate_cell(means.get((init, rate)))) for rate in rates],
            "good": f"{good.at[init, 'low']:g} to {good.at[init, 'high']:g}" if init in good.index else "",
        }
        for init in ranking.table.index
    ]
    return {
        "id": ranking.task,
        "title": ranking.title,
        "columns": columns,
        "rows": [{"init": init, "cells": cells} for init, cells in rows],
        "rates": [f"{rate:g}" for rate in rates] if len(rates) > 1 else [],
        "by_rate": by_rate,
        "times": _times(ranking),
        "more": _more(ranking),
        "plots": plots,
    }


def task_table(ranking: Ranking) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Headings and, for each initializer, cells of a ranking; columns that say nothing are left out."""
    outcomes = [status for status in OUTCOMES[1:] if ranking.table[status].any()]
    target = f"{float(ranking.target):.1%}" if ranking.target else "a target"
    rates = ["learning rate"] * ranking.has_choice
    columns = [*rates, "test accuracy", f"reach {target}", "median steps to it", "runs", *outcomes]
    rows = []
    for init, row in ranking.table.iterrows():
        half_width = "" if math.isnan(row["half_width"]) else f" ± {row['half_width']:.4f}"
        cells = [
            *(f"{row['lr']:g}" for _ in rates),
            number(row["mean"], ".4f") + half_width,
            number(row["hit_rate"], ".0%"),
            steps(row["median_steps"]),
            str(int(row["runs"])),
            *(str(int(row[status])) for status in outcomes),
        ]
        rows.append((str(init), cells))
    return columns, rows


def _times(ranking: Ranking) -> list[dict[str, Any]]:
    """For each target that some run reached, who did, when, and whether that differs."""
    ended = ranking.scored[ranking.scored["score"].notna()]
    tables = []
    for target in targets_of(ended):
        if not ended[f"steps_to_{target}"].notna().any():
            continue
        rows = []
        for init, row in times_to(ended, target).iterrows():
            cells = [
                f"{number(row['hit_rate'], '.0%')} ({interval(row['hit_low'], row['hit_high'], '.0%')})",
                steps(row["median_steps"]),
                "never" if math.isinf(row["median_seconds"]) else number(row["median_seconds"], ".1f"),
                f"{row['mean_steps']:.0f} ({interval(row['mean_low'], row['mean_high'], '.0f')})".replace(" ()", ""),
                p_value(row["p"]),
            ]
            rows.append({"init": str(init), "cells": cells})
        tables.append({"target": f"{float(target):.1%}", "rows": rows})
    return tables


_MORE = {
    "val/best_accuracy": "best validation",
    "val/accuracy": "final validation",
    "val/accuracy_auc": "area under the curve",
    "val/loss_at_start": "loss at the start",
    "seconds_init": "seconds to initialize",
    "seconds_train": "seconds to train",
}


def _more(ranking: Ranking) -> dict[str, Any]:
    columns = [column for column in _MORE if column in ranking.scored]
    means = ranking.scored.groupby("init")[columns].mean()
    rows = [
        {"init": init, "cells": [number(means.at[init, c], ".4g") for c in columns]} for init in ranking.table.index
    ]
    return {"columns": [_MORE[column] for column in columns], "rows": rows}


def _rate_cell(row: Any) -> str:
    if row is None:
        return "-"
    half_width = "" if math.isnan(row.half_width) else f" ± {row.half_width:.4f}"
    return f"{row.mean:.4f}{half_width}" + (f" ({row.diverged} diverged)" if row.diverged else "")


def _plot_table(plot: Plot) -> Markup:
    table = plot.table()
    return Markup(table.to_html(border=0, na_rep="-", float_format=lambda value: f"{value:.5g}", escape=True))


def _filters(runs: pd.DataFrame, named: Mapping[str, str]) -> list[tuple[str, list[tuple[str, str]]]]:
    def same(column: str) -> list[tuple[str, str]]:
        return [(str(value), str(value)) for value in sorted(runs[column].dropna().unique(), key=str)]

    rates = [
        (f"{rate:g}", f"{rate:g}") for rate in sorted(pd.to_numeric(runs["lr"], errors="coerce").dropna().unique())
    ]
    scored = [("yes", "scored"), ("no", "not scored")]
    return [
        ("init", same("init")),
        ("task", list(named.items())),
        ("lr", rates),
        ("status", same("status")),
        ("scored", scored),
    ]


def _runs(comparison: Comparison, named: Mapping[str, str], folder: Path) -> list[dict[str, Any]]:
    scored = set(comparison.scored["path"])
    target = {ranking.task: ranking.target for ranking in comparison.rankings}
    rows = []
    for run in comparison.runs.to_dict("records"):
        path = Path(run["path"])
        rate = pd.to_numeric(run["lr"], errors="coerce")
        hardest = f"steps_to_{target[run['task']]}"
        seconds = run.get("seconds_train", math.nan)
        rows.append(
            {
                "init": run["init"],
                "task": run["task"],
                "lr": "" if math.isnan(rate) else f"{rate:g}",
                "seed": run["seed"],
                "status": run["status"],
                "scored": "yes" if run["path"] in scored else "no",
                "cells": [
                    run["status"],
                    run["init"],
                    named[run["task"]],
                    "" if math.isnan(rate) else f"{rate:g}",
                    run["seed"],
                    _blank(run["test/accuracy"], ".4f"),
                    _blank(run["val/accuracy"], ".4f"),
                    _blank(run.get(hardest, math.nan), ".0f"),
                    _blank(seconds, ".1f"),
                ],
                "record": _relative(path / "record.json", folder),
                "log": _relative(path / "log.txt", folder) if (path / "log.txt").exists() else "",
                "command": run.get("run_command") or "",
            }
        )
    return rows


def _relative(path: Path, folder: Path) -> str:
    return quote(os.path.relpath(path.resolve(), folder.resolve()))


def _blank(value: float | None, form: str) -> str:
    return "" if value is None or math.isnan(value) else f"{value:{form}}"


def interval(low: float, high: float, form: str) -> str:
    return "" if math.isnan(low) or math.isnan(high) else f"{low:{form}} to {high:{form}}"


def p_value(value: float) -> str:
    """Two digits, and never 0."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"


def _provenance(runs: pd.DataFrame) -> str:
    facts = []
    for column, name in (("processor", "processor"), ("device", "device"), ("torch", "torch"), ("commit", "commit")):
        values = sorted(map(str, runs[column].dropna().unique())) if column in runs else []
        if values:
            facts.append(f"{name}: {', '.join(values[:5])}")
    return "; ".join(facts)
