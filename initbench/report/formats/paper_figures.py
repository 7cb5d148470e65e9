"""figures/: plots of the page as SVG and PDF."""

import io
import math
import re
import textwrap
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter
from rich.cells import cell_len

from initbench.analysis.comparison.comparison import Comparison
from initbench.figures import shortened
from initbench.record.store import atomic_write
from initbench.report.content.legend import looks
from initbench.report.content.plot import Plot
from initbench.report.content.rank_diagram import rank_diagram
from initbench.report.content.report_plots import Plots
from initbench.report.formats.paper_maps import draw_maps

STYLES = {
    "solid": "-",
    "dash": (0, (5, 2)),
    "dot": (0, (1, 1.5)),
    "dashdot": (0, (5, 2, 1, 2)),
    "longdash": (0, (9, 2)),
    "longdashdot": (0, (9, 2, 1, 2)),
}
_STEPS = ((1,), (1, 2, 5), range(1, 10))  # choices of ticks within each power of ten of a log axis, the fewest first
_OURS = re.compile(r"(against|curves|depth|fit|lr|profile|ranking|ranks|survival)(-.*)?\.(svg|pdf)")
_CREATOR = "initbench, by matplotlib"
_TICK_CHARACTERS = 28  # of a name beside its row; wide characters take twice the room
_LEGEND_CHARACTERS, _HANDLE_CHARACTERS = 82, 8  # how much fits into a row of the legend; the length of a sample line
# Text stays text, so that it can be edited and searched; the same runs give the same bytes.
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "initbench",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a $ in a name is a $
}


def write_figures(comparison: Comparison, plots: Plots, folder: Path) -> None:
    """Write `<plot>-<workload>.svg` and `.pdf` for the first view of each plot, and critical-difference diagrams.

    Figures of an earlier report that are not written again are removed.
    """
    styles = looks(comparison)
    written: set[Path] = set()
    names = {ranking.workload_id: ranking.workload for ranking in comparison.rankings}
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # If the font lacks letters of a name, an SVG has them all the same, and a PDF has boxes.
        warnings.filterwarnings("ignore", r"Glyph .* missing from font")
        for place, group in plots.items():
            for plot in (plot for plot in group if plot.series):
                figure = draw(plot, styles)
                figure.draw_without_rendering()
                figure.set_layout_engine(None)  # keep this layout for both files, which "none" would draw twice each
                name = plot.name if place is None else plot.name.replace(place, slug(names[place]))
                written |= _save(figure, folder / name)
        for number, findings in enumerate(comparison.findings):
            if diagram := rank_diagram(findings.ranks):
                written |= _save(diagram.figure(), folder / f"ranks{f'-{number + 1}' if number else ''}")
    for path in set(folder.glob("*")) - written:
        if _OURS.fullmatch(path.name) and _CREATOR.encode() in path.read_bytes():  # not a figure from elsewhere
            path.unlink()


def _save(figure: Figure, path: Path) -> set[Path]:
    """Write the figure as SVG and PDF; return the two files."""
    paths = set()
    for kind, date in (("svg", "Date"), ("pdf", "CreationDate")):
        content = io.BytesIO()
        figure.savefig(content, format=kind, metadata={date: None, "Creator": _CREATOR})
        paths.add(path.with_name(f"{path.name}.{kind}"))
        atomic_write(path.with_name(f"{path.name}.{kind}"), content.getvalue())
    return paths


def draw(plot: Plot, styles: Mapping[str, Mapping[str, str]]) -> Figure:
    """The first view of a plot, 5.5 inches wide."""
    if plot.z_title:
        return draw_maps(plot)
    view, log = plot.first, plot.log.get(plot.first, "")
    hidden = plot.hidden(view)
    names = shortened(plot.series)
    labels = {
        init: f"{short} (hidden by {names[hidden[init]]})" if init in hidden else short for init, short in names.items()
    }
    columns = max(1, min(3, int(_LEGEND_CHARACTERS / (_HANDLE_CHARACTERS + max(map(cell_len, labels.values()))))))
    if plot.forest:
        labels = {init: textwrap.fill(label, _TICK_CHARACTERS) for init, label in labels.items()}
    elif columns == 1:
        labels = {
            init: textwrap.fill(label, _LEGEND_CHARACTERS - 2 * _HANDLE_CHARACTERS) for init, label in labels.items()
        }
    lines = sum(label.count("\n") + 1 for label in labels.values())
    height = 0.6 + 0.22 * lines if plot.forest else 2.6 + 0.17 * math.ceil(lines / columns)
    figure = Figure(figsize=(5.5, height), layout="constrained")
    axes = figure.subplots()
    shown = {init: views[view] for init, views in plot.series.items() if view in views}
    positive = [value for points in shown.values() for value in points["y"] if not plot.forest and value > 0]
    is_log_y = "y" in log and bool(positive)
    _draw_background(axes, plot)
    for init, points in shown.items():
        # On a log axis a band that reaches zero ends at the lowest value drawn.
        _draw_series(axes, plot, points, labels[init], styles[init], floor=min(positive) if is_log_y else -math.inf)
    for name, level in plot.levels.get(view, {}).items():
        axes.axhline(level, color="0.5", linestyle=":", linewidth=0.8)
        place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "ha": "right", "va": "bottom"}
        axes.text(1.0, level, name, color="0.4", fontsize=7, **place)
    axes.set(xlabel=plot.x_titles[view], ylabel=textwrap.fill(plot.y_titles[view], 34, break_on_hyphens=False))
    places = {float(x) for points in shown.values() for x in points["x"]}
    if "x" in log and len(places) > 1:
        axes.set_xscale("log")
        _tick(axes.xaxis)
    elif all(place.is_integer() for place in places):
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))  # layers and steps are whole numbers
    if plot.forest:
        axes.invert_yaxis()
        return figure
    if is_log_y:
        axes.set_yscale("log")
        _tick(axes.yaxis)
    if plot.unit_y:
        axes.set_ylim(-0.03, 1.03)
    figure.legend(loc="outside lower center", ncols=columns, frameon=False, fontsize=8, handlelength=3)
    return figure


def _draw_background(axes: Axes, plot: Plot) -> None:
    """What the lines are to be like: grey dots, and a line under the others."""
    for name, points in plot.points.items():
        axes.plot(points["x"], points["y"], ".", label=name, color="0.6", markersize=1.5)
    for name, line in plot.truth.items():
        axes.plot(line["x"], line["y"], label=name, color="0.75", linewidth=3.5)


def _tick(axis: Axis) -> None:
    """Ticks of a log axis in plain digits, since matplotlib's own are formulas; at least two, however short it is."""
    low, high = sorted(axis.get_view_interval())
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    choices = [[step * 10.0**power for power in powers for step in steps] for steps in _STEPS]
    inside = [[tick for tick in ticks if low <= tick <= high] for ticks in choices]
    inside.append([tick for tick in MaxNLocator(4).tick_values(low, high) if low <= tick <= high])
    ticks = next((ticks for ticks in inside if len(ticks) >= 3), inside[-1])
    ticks = ticks or [math.sqrt(low * high)]  # a range that is as narrow as rounding
    axis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / 8)]))
    axis.set_major_formatter(lambda value, _: f"{value:.5g}")
    axis.set_minor_formatter(NullFormatter())


def _draw_series(
    axes: Axes,
    plot: Plot,
    view: Mapping[str, Sequence[float]],
    label: str,
    style: Mapping[str, str],
    floor: float,
) -> None:
    colour, x, y = style["colour"], list(view["x"]), list(view["y"])
    if plot.forest:
        arms = [[x[0] - view["low"][0]], [view["high"][0] - x[0]]]
        known = not math.isnan(arms[0][0])
        axes.errorbar(x, [label], xerr=arms if known else None, fmt="o", color=colour, capsize=2, markersize=4)
        return
    line: dict[str, Any] = {"color": colour, "linestyle": STYLES[style["dash"]], "linewidth": 1.3}
    step: dict[str, Any] = {"drawstyle": "steps-post"} if plot.step else {}
    # A label that begins with an underscore would hide the line from the legend.
    axes.plot(
        x,
        y,
        label=label if not label.startswith("_") else f" {label}",
        marker="o" if plot.markers else None,
        markersize=3,
        **line,
        **step,
    )
    if "low" in view:
        between: dict[str, Any] = {"step": "post"} if plot.step else {}
        low, high = np.maximum(view["low"], floor), np.asarray(view["high"], dtype=float)
        if plot.step:  # a value holds until the next point, whether or not more is known there
            low, high = (pd.Series(edge).ffill(limit=1).to_numpy() for edge in (low, high))
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0, **between)


def slug(title: str) -> str:
    """A title as the name of a file."""
    return re.sub(r"[^\w.=]+", "-", title).strip("-")[:80]
