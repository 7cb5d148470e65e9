"""figures/: every plot of the page as SVG and PDF, and the ranking as a LaTeX table (booktabs)."""

import io
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from initbench.analysis.comparison import Comparison
from initbench.record.store import atomic_write
from initbench.report.page import looks
from initbench.report.plot import Plot
from initbench.report.tables import of_task, overall

STYLES = {
    "solid": "-",
    "dash": (0, (5, 2)),
    "dot": (0, (1, 1.5)),
    "dashdot": (0, (5, 2, 1, 2)),
    "longdash": (0, (9, 2)),
    "longdashdot": (0, (9, 2, 1, 2)),
}
# Text stays text, to be edited and searched; the same runs give the same bytes.
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "initbench",
    "pdf.fonttype": 42,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a $ in a name is a $
}


def write_figures(comparison: Comparison, plots: Mapping[str | None, Sequence[Plot]], folder: Path) -> None:
    """Write `<plot>-<task>.svg` and `.pdf` for the first view of each plot, and `ranking.tex`."""
    styles = looks(comparison)
    titles = {ranking.task: ranking.title for ranking in comparison.rankings}
    with mpl.rc_context(_SETTINGS):
        for task, group in plots.items():
            for plot in group:
                figure = draw(plot, styles)
                figure.draw_without_rendering()
                figure.set_layout_engine("none")  # the layout is that of now, not made again for each file
                name = plot.name if task is None else plot.name.replace(task, slug(titles[task]))
                for kind, metadata in (("svg", {"Date": None}), ("pdf", {"CreationDate": None})):
                    content = io.BytesIO()
                    figure.savefig(content, format=kind, metadata=metadata)
                    atomic_write(folder / f"{name}.{kind}", content.getvalue())
    atomic_write(folder / "ranking.tex", latex(comparison).encode())


def draw(plot: Plot, styles: Mapping[str, Mapping[str, str]]) -> Figure:
    """The first view of a plot, 5.5 inches wide."""
    view, log = plot.first, plot.log.get(plot.first, "")
    rows = math.ceil(len(plot.series) / 3)
    height = 0.6 + 0.22 * len(plot.series) if plot.forest else 2.6 + 0.17 * rows
    figure = Figure(figsize=(5.5, height), layout="constrained")
    axes = figure.subplots()
    shown = {init: views[view] for init, views in plot.series.items() if view in views}
    positive = [value for points in shown.values() for value in points["y"] if not plot.forest and value > 0]
    is_log_y = "y" in log and bool(positive)
    for init, points in shown.items():
        # On a log axis a band that reaches zero ends at the lowest value drawn.
        _draw_series(axes, plot, points, init, styles[init], floor=min(positive) if is_log_y else -math.inf)
    axes.set(xlabel=plot.x_titles[view], ylabel=textwrap.fill(plot.y_titles[view], 34, break_on_hyphens=False))
    if "x" in log:
        axes.set_xscale("log")
        _tick(axes.xaxis, [value for points in shown.values() for value in points["x"]])
    if plot.forest:
        axes.invert_yaxis()
        return figure
    if is_log_y:
        axes.set_yscale("log")
        _tick(axes.yaxis, positive)
    if plot.unit_y:
        axes.set_ylim(-0.03, 1.03)
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8, handlelength=3)
    return figure


def _tick(axis: Axis, values: Sequence[float]) -> None:
    """Ticks of a log axis in plain digits, as matplotlib's own are formulas: 1, 2, 5 up to two decades, else powers."""
    decades = math.log10(max(values) / min(values))
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades <= 2 else (1,), numticks=8))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def _draw_series(
    axes: Axes,
    plot: Plot,
    view: Mapping[str, Sequence[float]],
    init: str,
    style: Mapping[str, str],
    floor: float,
) -> None:
    colour, x, y = style["colour"], list(view["x"]), list(view["y"])
    if plot.forest:
        arms = [[x[0] - view["low"][0]], [view["high"][0] - x[0]]]
        known = not math.isnan(arms[0][0])
        axes.errorbar(x, [init], xerr=arms if known else None, fmt="o", color=colour, capsize=2, markersize=4)
        return
    line: dict[str, Any] = {"color": colour, "linestyle": STYLES[style["dash"]], "linewidth": 1.3}
    step: dict[str, Any] = {"drawstyle": "steps-post"} if plot.step else {}
    # A label that begins with an underscore would hide the line from the legend.
    label = init if not init.startswith("_") else f" {init}"
    axes.plot(x, y, label=label, marker="o" if plot.markers else None, markersize=3, **line, **step)
    if "low" in view:
        between: dict[str, Any] = {"step": "post"} if plot.step else {}
        low, high = np.maximum(view["low"], floor), np.asarray(view["high"], dtype=float)
        if plot.step:  # what holds at a point holds until the next, whether or not more is known there
            low, high = (pd.Series(edge).ffill(limit=1).to_numpy() for edge in (low, high))
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0, **between)


def latex(comparison: Comparison) -> str:
    """booktabs tables: of all tasks with differences and p values, and of each task; the highest mean in bold."""
    every = [(_tex(ranking.title), of_task(ranking)) for ranking in reversed(comparison.rankings)]
    if len(comparison.overall):
        every.insert(0, ("All tasks; differences in percentage points", overall(comparison)))
    tables = ["% The highest mean is bold, significant or not; plus and minus is its 95 % interval (Student's t)."]
    for title, table in every:
        lines = [
            f"% {title}",
            f"\\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
            "\\toprule",
            " & ".join(["initializer", *map(_tex, table.columns)]) + " \\\\",
            "\\midrule",
        ]
        score = next(place for place, name in enumerate(table.columns) if "test accuracy" in name)
        for place, (init, cells) in enumerate(table.rows):
            shown = [_tex(cell) for cell in cells]
            if place == 0:
                shown[score] = f"\\textbf{{{shown[score]}}}"
            lines.append(" & ".join([_tex(init), *shown]) + " \\\\")
        tables.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}"]))
    return "\n\n".join(tables) + "\n"


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "±": r"$\pm$"}
    special |= {character: f"\\{character}" for character in "&%$#_{}"}
    return "".join(special.get(character, character) for character in text)


def slug(title: str) -> str:
    """A title as a file's name."""
    return re.sub(r"[^\w.=]+", "-", title).strip("-")[:80]
