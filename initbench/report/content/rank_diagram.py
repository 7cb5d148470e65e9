"""The critical-difference diagram: average ranks on an axis, with bars over those that do not differ significantly.

Source: Demsar 2006, Statistical Comparisons of Classifiers over Multiple Data Sets, figure 1.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from markupsafe import escape

from initbench.analysis.statistics.aggregate import Ranks
from initbench.figures import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW = 16.0  # pixels from one name to the next
_CHARACTER = 6.2  # width of one at 11 pixels
_AXIS = 360.0  # length of the axis
_DPI = 72.0


@dataclass(frozen=True)
class Line:
    """A straight line, in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 1.0


@dataclass(frozen=True)
class Label:
    """A text at a point, in pixels."""

    x: float
    y: float
    anchor: str  # start, middle, end
    text: str


@dataclass(frozen=True)
class RankDiagram:
    """Lines and labels in pixels from the upper left corner; `svg` draws them for the page, `figure` for a paper."""

    width: float
    height: float
    lines: list[Line]
    labels: list[Label]

    def svg(self) -> str:
        """The diagram as SVG, in the colour of the text around it."""
        lines = [
            f'<line x1="{of.x[0]:.1f}" y1="{of.y[0]:.1f}" x2="{of.x[1]:.1f}" y2="{of.y[1]:.1f}" '
            f'stroke-width="{of.width:g}"/>'
            for of in self.lines
        ]
        labels = [
            f'<text x="{of.x:.1f}" y="{of.y + 4:.1f}" text-anchor="{of.anchor}">{escape(of.text)}</text>'
            for of in self.labels
        ]
        box = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}" style="width: {self.width:.0f}px"'
        parts = [f'<g stroke="currentColor" stroke-linecap="round">{"".join(lines)}</g>']
        parts.append(f'<g fill="currentColor" font-size="11">{"".join(labels)}</g>')
        return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {box}>{"".join(parts)}</svg>'

    def figure(self) -> "Figure":
        """The diagram as a matplotlib figure."""
        from matplotlib.figure import Figure  # slow to import, and the page does not need it

        figure = Figure(figsize=(self.width / _DPI, self.height / _DPI))
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, self.width), ylim=(self.height, 0))
        axes.axis("off")
        for line in self.lines:
            axes.plot(line.x, line.y, color="black", linewidth=line.width, solid_capstyle="round")
        sides = {"start": "left", "middle": "center", "end": "right"}
        for label in self.labels:
            axes.text(label.x, label.y, label.text, ha=sides[label.anchor], va="center", fontsize=9)
        return figure


def rank_diagram(ranks: Ranks, level: float = 0.05) -> RankDiagram | None:
    """The diagram of these ranks; None with fewer than three initializers or without a critical difference."""
    names, values = list(shortened(map(str, ranks.ranks.index)).values()), ranks.ranks.tolist()
    if len(names) < 3 or math.isnan(ranks.critical_difference):
        return None
    groups = alike(values, ranks.critical_difference if ranks.friedman_p < level else math.inf)
    margin = 30 + _CHARACTER * max(map(len, names))
    left = (len(names) + 1) // 2
    last = len(names)
    axis = 44.0
    first_name = axis + 16 + 7 * len(groups)

    def x(rank: float) -> float:
        return margin + _AXIS * (rank - 1) / (last - 1)

    lines = [Line((x(1), x(last)), (axis, axis), 1.2)]
    labels = []
    every = max(1, round(last / 10))
    for tick in range(1, last + 1, every):
        lines.append(Line((x(tick), x(tick)), (axis - 5, axis)))
        labels.append(Label(x(tick), axis - 13, "middle", str(tick)))
    wide = min(ranks.critical_difference, last - 1.0)
    lines.append(Line((x(1), x(1 + wide)), (12, 12), 2))
    lines += [Line((at, at), (9, 15)) for at in (x(1), x(1 + wide))]
    labels.append(Label(x(1 + wide) + 6, 12, "start", f"critical difference {ranks.critical_difference:.2f}"))
    for place, (name, rank) in enumerate(zip(names, values, strict=True)):
        row = place if place < left else last - 1 - place
        y = first_name + _ROW * row
        end = margin - 8 if place < left else margin + _AXIS + 8
        lines += [Line((x(rank), x(rank)), (axis, y)), Line((x(rank), end), (y, y))]
        side = "end" if place < left else "start"
        labels.append(Label(end - 4 if side == "end" else end + 4, y, side, name))
    for level_of, (first, final) in enumerate(groups):
        y = axis + 8 + 7 * level_of
        lines.append(Line((x(values[first]) - 4, x(values[final]) + 4), (y, y), 3.5))
    return RankDiagram(2 * margin + _AXIS, first_name + _ROW * (left - 1) + 14, lines, labels)


def alike(ranks: list[float], critical_difference: float) -> list[tuple[int, int]]:
    """The first and the last position of each maximal group of ascending ranks at most `critical_difference` apart."""
    ends = [max(at for at, rank in enumerate(ranks) if rank - first <= critical_difference) for first in ranks]
    starts = [0, *(at for at, (before, end) in enumerate(pairwise(ends), start=1) if end > before)]
    return [(start, ends[start]) for start in starts if ends[start] > start]
