"""A comparison on Weights & Biases: the tables and figures of the study's summary run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go

from initbench.analysis.verdict.verdict import Verdict
from initbench.report.content.legend import looks
from initbench.report.content.plot import Plot
from initbench.report.content.report_plots import report_plots
from initbench.report.dashboard.workspace import publish


def publish_comparison(path: str, study: str, verdict: Verdict, folder: Path) -> str:
    """Build or update the dashboard of `study` in `path`, "entity/project".

    Returns one line with its address, or with what went wrong.

    Raises ValueError if `path` is not "entity/project".
    """
    comparison = verdict.comparison
    names = {ranking.workload_id: ranking.workload for ranking in comparison.rankings}
    tables = {f"ranking {of.workload}": of.table.reset_index(names="init") for of in comparison.rankings}
    if comparison.main is not None:
        tables = {"ranking": comparison.main.overall, "pairs": comparison.main.pairs, **tables}
    styles = looks(comparison)
    figures = {}
    for place, group in report_plots(comparison).items():
        for plot in group:
            figures[plot.title if place is None else f"{plot.title}, {names[place]}"] = as_plotly(plot, styles)
    return publish(
        path,
        study,
        verdict=" ".join(sentence.text for sentence in verdict.sentences),
        metric=comparison.metric,
        tables={name: table for name, table in tables.items() if len(table)},
        figures=figures,
        targets=comparison.targets,
        folder=folder,
    )


def as_plotly(plot: Plot, styles: Mapping[str, Mapping[str, str]]) -> go.Figure:
    """The first view of a plot as a plotly figure, as the page draws it."""
    view, log = plot.first, plot.log.get(plot.first, "")
    figure = go.Figure()
    for init, views in plot.series.items():
        if view in views:
            figure.add_traces(list(_traces(plot, views[view], init, styles[init])))
    figure.update_xaxes(title_text=plot.x_titles[view], type="log" if "x" in log else None)
    figure.update_yaxes(title_text=plot.y_titles[view], type="log" if "y" in log else None)
    if plot.forest:
        figure.update_yaxes(type="category", autorange="reversed")
    figure.update_layout(template="plotly_white", title_text=plot.title)
    return figure


def _traces(plot: Plot, view: Mapping[str, Any], init: str, style: Mapping[str, str]) -> Iterator[go.Scatter]:
    colour, x, y = style["colour"], list(view["x"]), list(view["y"])
    shared = {"name": init, "legendgroup": init}
    if plot.forest:
        low, high = view["low"][0], view["high"][0]
        arms = {"type": "data", "symmetric": False, "array": [high - x[0]], "arrayminus": [x[0] - low]}
        yield go.Scatter(x=x, y=y, error_x=arms, mode="markers", marker={"color": colour}, **shared)
        return
    shape = "hv" if plot.step else "linear"
    line = {"color": colour, "dash": style["dash"], "shape": shape}
    for edge, fill in (("low", None), ("high", "tonexty")):
        if edge in view:
            band = {"width": 0, "shape": shape}
            yield go.Scatter(
                x=x,
                y=list(view[edge]),
                mode="lines",
                line=band,
                fill=fill,
                fillcolor=_faint(colour),
                hoverinfo="skip",
                showlegend=False,
                legendgroup=init,
            )
    mode = "lines+markers" if plot.markers else "lines"
    yield go.Scatter(x=x, y=y, mode=mode, line=line, text=view.get("text"), **shared)


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.15)"
