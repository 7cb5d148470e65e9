"""The figure of a diagnosis: six panels, with depth from left to right."""

from collections.abc import Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from initbench.diagnostics.scalars import known_mean
from initbench.figures import COLOURS, DASHES, log_axis

# Title, whether the axis is logarithmic, and the lines as (quantity, name); a title with two lines names them.
_PANELS: tuple[tuple[str, bool, tuple[tuple[str, str], ...]], ...] = (
    ("second moment: {0}, {1}", True, (("pre_second_moment", "pre-"), ("post_second_moment", "post-activation"))),
    ("second moment of the gradient", True, (("gradient_second_moment", "gradient"),)),
    ("{0}, {1}", False, (("dead", "dead units"), ("saturated", "saturated entries"))),
    ("dW / W", True, (("gradient_to_weight", "dW / W"),)),
    ("correlation of input pairs", False, ()),
    ("singular values of the Jacobian", True, ()),
)


def through_depth(
    layers: pd.DataFrame, correlations: Sequence[Sequence[float]], singular_values: Sequence[float]
) -> go.Figure:
    """Everything that a diagnosis holds; zeros and missing values leave gaps on logarithmic axes.

    layers: as `Diagnosis.layers`; correlations: of each pair of inputs, (layers + 1, pairs), first those of the inputs
    themselves, NaN if they have none; singular_values: of the Jacobian, empty if they are not known.
    """
    titles = [title.format(*_coloured(lines)) for title, _, lines in _PANELS]
    figure = make_subplots(rows=2, cols=3, subplot_titles=titles, horizontal_spacing=0.08, vertical_spacing=0.16)
    names = [escape(str(name)) for name in layers.index]
    depth = list(range(1, len(names) + 1))
    for index, (_, is_log, lines) in enumerate(_PANELS):
        row, col = index // 3 + 1, index % 3 + 1
        for number, (quantity, label) in enumerate(lines):
            values = list(layers[quantity])
            figure.add_trace(
                _line(depth, _positive(values) if is_log else values, label, number, names), row=row, col=col
            )
        figure.update_xaxes(title_text="layer", row=row, col=col)
    figure.update_yaxes(range=[-0.05, 1.05], row=1, col=3)
    _add_correlation(figure, correlations, names)
    ranks = list(range(1, len(singular_values) + 1))
    figure.add_trace(_line(ranks, _positive(singular_values), "singular value", 0), row=2, col=3)
    figure.update_xaxes(title_text="rank", row=2, col=3)
    for index, (_, is_log, _) in enumerate(_PANELS):
        if is_log:
            place = {"row": index // 3 + 1, "col": index % 3 + 1}
            figure.update_yaxes(log_axis(value for line in figure.select_traces(**place) for value in line.y), **place)
    figure.update_layout(template="plotly_white", height=640, margin={"l": 60, "r": 20, "t": 50, "b": 50})
    figure.update_layout(showlegend=False)
    return figure


def _add_correlation(figure: go.Figure, correlations: Sequence[Sequence[float]], names: Sequence[str]) -> None:
    """A thin line for each pair, from the input at depth 0 on; a thick one for their mean."""
    depth = list(range(len(correlations)))
    for pair in zip(*correlations, strict=True):
        figure.add_scatter(
            x=depth,
            y=list(pair),
            mode="lines",
            line={"color": COLOURS[0], "width": 0.5},
            opacity=0.5,
            hoverinfo="skip",
            row=2,
            col=2,
        )
    means = [known_mean(values) for values in correlations]
    figure.add_trace(_line(depth, means, "mean", 0, ["input", *names]), row=2, col=2)


def _line(
    x: Sequence[int], y: Sequence[float | None], name: str, number: int, texts: Sequence[str] | None = None
) -> go.Scatter:
    return go.Scatter(
        x=list(x),
        y=list(y),
        text=texts,
        name=name,
        mode="lines+markers",
        line={"color": COLOURS[number], "dash": DASHES[number], "width": 2},
        marker={"size": 5},
        hovertemplate=f"%{{text}}<br>{name} %{{y:.3g}}<extra></extra>" if texts else "%{x}: %{y:.3g}<extra></extra>",
    )


def _coloured(lines: Sequence[tuple[str, str]]) -> list[str]:
    """The names in the colours of their lines, instead of a legend far from most panels."""
    return [f"<span style='color:{COLOURS[number]}'>{name}</span>" for number, (_, name) in enumerate(lines)]


def _positive(values: Sequence[float]) -> list[float | None]:
    return [value if value > 0 else None for value in values]
