"""The pictures of an initializer's page: its weights, and its signal and gradient through thirty layers.

They have no background, and colours that can be read on a light and on a dark page.
"""

import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from initializer_signal import LEAST, MOST, Measured
from initializer_stacks import DEPTH
from matplotlib.figure import Figure

from initbench.figures import COLOURS

GREY = "#767676"  # contrast 4.5 on white and 4.1 on black
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "initbench",  # the same ids each time
    "font.family": "sans-serif",
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), GREY),
}
BINS = 61  # odd, so that 0 is in the middle of one


def save(figure: Figure, path: Path) -> None:
    """As SVG; the coordinates of lines are rounded to a tenth of a point, which halves the file."""
    written = io.StringIO()
    figure.savefig(written, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    path.write_text(re.sub(r' d="[^"]*"', lambda found: re.sub(r"(\.\d)\d+", r"\1", found[0]), written.getvalue()))


def axes_of(width: float, height: float) -> tuple[Figure, Any]:
    """A figure of this size in inches, and axes without a frame at the top and on the right."""
    figure = Figure((width, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def draw_weights(found: Measured, path: Path) -> None:
    """A histogram of one weight, with the normal distributions of its expected variance and of 1 / fan_in."""
    row = next(row for row in found.rows if row["parameter"] == found.stack.weight)
    usual = row["fan_in"] ** -0.5
    values = found.values.double()
    largest = float(values.abs().max())
    edge = min(max(3.5 * usual, 1.05 * largest), 3 * largest or math.inf)  # narrow distributions can be seen, too
    width = 2 * edge / BINS
    edges = [-edge + width * number for number in range(BINS + 1)]
    shares = (values.histc(BINS, -edge, edge) / values.numel()).tolist()
    with mpl.rc_context(STYLE):
        figure, axes = axes_of(5.4, 2.6)
        axes.stairs(shares, edges, fill=True, color=COLOURS[5], alpha=0.7, label="weights")
        curves = {"N(0, 1 / fan_in)": (usual, "dotted", GREY)}
        if row["std_expected"]:
            curves[f"N(0, {row['std_expected']:.3g}²)"] = (row["std_expected"], "dashed", COLOURS[1])
        for label, (std, style, colour) in curves.items():
            axes.plot(*_normal(std, edge, width), linestyle=style, color=colour, label=label)
        if max(shares) > 0.5:
            axes.set_yscale("log")
            axes.set_ylim(1e-4, 1)
            axes.minorticks_off()
        axes.set_xlabel(f"weight in {found.stack.weight}")
        axes.set_ylabel("share per bin")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        save(figure, path)


def _normal(std: float, edge: float, width: float) -> tuple[list[float], list[float]]:
    """The share of N(0, std^2) in bins of this width, where it can be seen."""
    reach = min(edge, 4 * std)
    points = [reach * number / 40 for number in range(-40, 41)]
    return points, [width * math.exp(-((x / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi)) for x in points]


def draw_depth(measured: Sequence[Measured], path: Path) -> None:
    """Root mean squares of outputs and gradients, layer by layer, for one or two models."""
    with mpl.rc_context(STYLE):
        figure, axes = axes_of(5.4, 2.8)
        _lines(axes, measured)
        axes.set_xlabel(measured[0].stack.axis)
        axes.set_ylabel("root mean square")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        save(figure, path)


def draw_small(name: str, measured: Sequence[Measured], path: Path) -> None:
    """The same for the gallery, with the name of the initializer instead of a legend and numbers."""
    with mpl.rc_context(STYLE):
        figure, axes = axes_of(1.9, 1.35)
        _lines(axes, measured)
        axes.set_title(name, fontsize=9, fontweight="bold")
        axes.set_xticks([1, DEPTH])
        save(figure, path)


def _lines(axes: Any, measured: Sequence[Measured]) -> None:
    axes.set_yscale("log")
    values = [1.0]
    for found, colour in zip(measured, COLOURS, strict=False):
        for numbers, style, what in ((found.signal, "solid", "outputs"), (found.gradient, "dashed", "gradient")):
            shown = [min(max(value, LEAST), MOST) for value in numbers]
            values += shown
            label = f"{found.stack.label}, {what}"
            axes.plot(range(1, len(shown) + 1), shown, linestyle=style, color=colour, label=label, linewidth=1.4)
    # At least two decades, so that a constant signal looks constant.
    axes.set_ylim(min(0.1, min(values) / 2), max(10, max(values) * 2))
    axes.set_xticks([1, 10, 20, DEPTH])
    axes.minorticks_off()
