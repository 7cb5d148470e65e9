"""One page with the learning curves of a study: opens offline, needs no account."""

import math
from html import escape
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from initbench.analysis.frame import load_history
from initbench.analysis.ranking import Ranking, rankings
from initbench.figures import COLOURS, DASHES
from initbench.record.store import atomic_write
from initbench.report.depth import through_depth

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .8rem; border-bottom: 1px solid #ccc; }
td:not(:first-child), th:not(:first-child) { text-align: right; }
h2 { margin-top: 2.5rem; } .wide { overflow-x: auto; }
"""


def write_page(study: Path, runs: pd.DataFrame) -> Path:
    """Write `<study>/index.html`, with plotly's script beside it, and return its path.

    A section a setting: validation accuracy against steps, mean over seeds with the range between the lowest
    and the highest seed; the ranking as a table; and, where there are diagnostics, second moments through depth.
    """
    sections = [_section(ranking, runs[runs["setting"] == ranking.setting]) for ranking in rankings(runs)]
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(study.name)} - initbench</title><style>{_STYLE}</style>
<script src="plotly.min.js"></script></head>
<body><h1>{escape(study.name)}</h1><p>{len(runs)} runs</p>{"".join(reversed(sections))}</body></html>
"""
    script = study / "plotly.min.js"
    if not script.exists():
        from plotly.offline import get_plotlyjs

        atomic_write(script, get_plotlyjs().encode())
    path = study / "index.html"
    atomic_write(path, page.encode())
    return path


def _section(ranking: Ranking, runs: pd.DataFrame) -> str:
    title, curves = escape(ranking.title), _plot(learning_curves(ranking, runs))
    section = f"<h2>{title}</h2>{curves}<div class='wide'>{_table(ranking)}</div>"
    depth = through_depth([str(init) for init in ranking.table.index], runs)
    return section if depth is None else f"{section}<h3>Through depth, before the first step</h3>{_plot(depth)}"


def _plot(figure: go.Figure) -> str:
    html: str = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        config={"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["sendChartToCloud"]},
    )
    return html


def learning_curves(ranking: Ranking, runs: pd.DataFrame) -> go.Figure:
    """Validation accuracy of every initializer of a setting, best first in the legend."""
    figure = go.Figure()
    for index, init in enumerate(ranking.table.index):
        colour = COLOURS[index % len(COLOURS)]
        dash = DASHES[index % len(DASHES)]
        curve = mean_curve(runs[runs["init"] == init])
        if curve.empty:
            continue
        band = [*curve["high"], *curve["low"][::-1]]
        steps = list(curve.index)
        figure.add_scatter(
            x=[*steps, *steps[::-1]],
            y=band,
            mode="lines",
            fill="toself",
            fillcolor=colour,
            opacity=0.15,
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=str(init),
        )
        figure.add_scatter(
            x=steps,
            y=list(curve["mean"]),
            mode="lines",
            name=escape(str(init)),
            legendgroup=str(init),
            line={"color": colour, "dash": dash, "width": 2},
            hovertemplate="step %{x}: %{y:.4f}",
        )
    figure.update_layout(
        template="plotly_white",
        height=480,
        margin={"l": 60, "r": 20, "t": 20, "b": 50},
        xaxis_title="step",
        yaxis_title="validation accuracy",
        hovermode="closest",
    )
    return figure


def mean_curve(runs: pd.DataFrame) -> pd.DataFrame:
    """mean, low and high of validation accuracy over seeds by step, over the runs that got that far."""
    histories = [load_history(path) for path in runs["path"]]
    rows = [h[["step", "val/accuracy"]].dropna() for h in histories if "val/accuracy" in h]
    if not rows:
        return pd.DataFrame()
    grouped = pd.concat(rows).groupby("step")["val/accuracy"]
    return pd.DataFrame({"mean": grouped.mean(), "low": grouped.min(), "high": grouped.max()})


def _table(ranking: Ranking) -> str:
    accuracy, steps = "test accuracy", "median steps to it"
    names = {
        "mean": accuracy,
        "half_width": "± 95 %",
        "hit_rate": f"reach {ranking.target}" if ranking.target else "reach a target",
        "median_steps": steps,
    }
    table = ranking.table.rename(columns=names)
    for column, form in (
        (accuracy, "{:.4f}".format),
        ("± 95 %", "{:.4f}".format),
        (names["hit_rate"], "{:.0%}".format),
        (steps, _steps),
    ):
        table[column] = table[column].map(form, na_action="ignore")
    return str(table.to_html(border=0, na_rep="-", escape=True))


def _steps(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.0f}"
