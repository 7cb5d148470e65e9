"""figures/ of maps: a panel of coloured points for what is true and one for each initializer."""

import math

from matplotlib.figure import Figure

from initbench.figures import shortened
from initbench.report.content.plot import Plot

_COLUMNS = 3
_POINT = 2.0  # square points of 1/72 inch


def draw_maps(plot: Plot) -> Figure:
    """The first view of a plot whose series have z, 5.5 inches wide; all panels share their colours."""
    names = shortened(plot.series, 24)
    panels = [*plot.truth.items(), *((names[init], views[plot.first]) for init, views in plot.series.items())]
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(5.5, 0.4 + 4.4 / columns * rows), dpi=200, layout="constrained")  # of the points
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    colours = next(iter(plot.truth.values()))["z"]
    for axes, (title, view) in zip(grid.flat, panels, strict=False):
        points = axes.scatter(
            view["x"], view["y"], c=view["z"], s=_POINT, vmin=min(colours), vmax=max(colours), rasterized=True
        )
        axes.set_title(title, fontsize=8)
        axes.set_aspect("equal")
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes in grid.flat[len(panels) - columns : len(panels)]:
        axes.tick_params(labelbottom=True)  # there may be no panel below
    figure.supxlabel(plot.x_titles[plot.first], fontsize=9)
    figure.supylabel(plot.y_titles[plot.first], fontsize=9)
    figure.colorbar(points, ax=figure.axes, label=plot.z_title, shrink=0.8)
    return figure
