"""The picture: the score against the rate at every value, with its best; how the best moves; the coordinate check."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from initbench.figures import look
from initbench.metric import Metric
from initbench.transfer.check import STEPS, Check
from initbench.transfer.drift import Drift

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "initbench",
    "font.size": 9,
    "text.parse_math": False,
}


def draw(drifts: Sequence[Drift], checks: Mapping[str, Check], axis: str, metric: Metric, path: Path) -> None:
    """Write an SVG: a row for each initializer, with three panels."""
    with mpl.rc_context({**_SETTINGS, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(11, 2.9 * len(drifts)), layout="constrained")
        rows = figure.subplots(len(drifts), 3, squeeze=False, sharex="col")
        for panels, drift in zip(rows, drifts, strict=True):
            check = checks.get(drift.init, Check([]))
            _curves(panels[0], drift, check, metric)
            _best(panels[1], drift, check, axis)
            _coordinates(panels[2], drift, check, axis)
        rows[0][0].set_title("score against rate; best at each value")
        rows[0][1].set_title("best rate (95%)")
        rows[0][2].set_title(f"size of features after {STEPS} steps")
        rows[-1][0].set_xlabel("learning rate")
        for panel in rows[-1][1:]:
            panel.set_xlabel(axis.replace("_", " "))
        figure.savefig(path, metadata={"Date": None})


def _curves(panel: Axes, drift: Drift, check: Check, metric: Metric) -> None:
    scores = drift.scores
    means = metric.sign * scores.scores.mean(axis=0)
    for index, value in enumerate(scores.values):
        colour, _ = look(index)
        panel.plot(scores.rates, means[index], marker=".", color=colour, label=f"{value:g}")
        panel.axvline(2 ** drift.best[index], color=colour, linewidth=0.8, linestyle="--")
    panel.set_xscale("log")
    _plain_numbers(panel.xaxis)
    panel.set_ylabel(f"{drift.init}\nvalidation {metric.name}")
    panel.legend(frameon=False, fontsize=8)


def _best(panel: Axes, drift: Drift, check: Check, axis: str) -> None:
    values, best = drift.scores.values, 2**drift.best
    reach = np.abs(np.vstack([best - 2**drift.best_low, 2**drift.best_high - best]))
    panel.errorbar(
        values, best, yerr=None if np.isnan(reach).any() else reach, marker="o", capsize=3, label="best rate"
    )
    center = np.log2(values).mean()
    line = 2 ** (drift.best.mean() + drift.slope * (np.log2(values) - center))
    panel.plot(values, line, linewidth=0.8, color="gray", label=f"{drift.slope:+.2f} octaves per doubling")
    if np.isfinite(check.critical).any():
        panel.plot(values, check.critical, linestyle=":", marker="x", color="black", label="2 / λmax at init")
    _log_values(panel, values)
    panel.legend(frameon=False, fontsize=8)


def _coordinates(panel: Axes, drift: Drift, check: Check, axis: str) -> None:
    for index, sizes in enumerate(check.sizes.values()):
        panel.plot(drift.scores.values, sizes, marker=".", linewidth=0.8, color=look(index)[0])
    _log_values(panel, drift.scores.values)


def _log_values(panel: Axes, values: Sequence[float]) -> None:
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.xaxis.set_major_locator(FixedLocator(list(values)))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticks(values, [f"{value:g}" for value in values])
    _plain_numbers(panel.yaxis)


def _plain_numbers(axis: Axis) -> None:
    """0.002 and not a power of ten, at a few places."""
    axis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
