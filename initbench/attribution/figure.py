"""The figure of an attribution: the effect of each part and of each pair of parts, with intervals."""

from html import escape

import pandas as pd
import plotly.graph_objects as go

from initbench.figures import COLOURS
from initbench.metric import Metric

_GREY = "#8a8a8a"


def forest(table: pd.DataFrame, metric: Metric, b: str) -> go.Figure:
    """A line for each row of `Effects.table`: the whole difference, the parts, then the pairs, largest first.

    b: what the initializer is called whose parts are tried.
    """
    ordered = table.assign(size=table["gain"].abs()).sort_values(
        ["parts", "size"], ascending=[True, False], kind="stable"
    )
    scale = 100 if metric.is_share else 1
    names = [escape(" = ".join([row["effect"], *row["others"]])) for _, row in ordered.iterrows()]
    figure = go.Figure()
    for is_shown, colour, legend in ((True, COLOURS[0], "shown"), (False, _GREY, "not shown")):
        at = [place for place, shown in enumerate(ordered["is_shown"]) if shown == is_shown]
        rows = ordered.iloc[at]
        figure.add_scatter(
            x=scale * rows["gain"],
            y=[names[place] for place in at],
            error_x={
                "array": scale * (rows["high"] - rows["gain"]),
                "arrayminus": scale * (rows["gain"] - rows["low"]),
                "thickness": 2,
            },
            mode="markers",
            name=legend,
            marker={"color": colour, "size": 9, "symbol": "circle" if is_shown else "circle-open"},
            hovertemplate="%{y}: %{x:+.3g}<extra></extra>",
        )
    figure.add_vline(x=0, line_width=1, line_color=_GREY)
    unit = f", {metric.points}" if metric.points else ""
    figure.update_xaxes(title_text=f"gain in {escape(metric.label)} with {escape(b)}{unit} (right: better)")
    figure.update_yaxes(categoryorder="array", categoryarray=names[::-1], automargin=True)
    figure.update_layout(
        template="plotly_white", height=140 + 26 * len(names), margin={"l": 20, "r": 20, "t": 20, "b": 50}
    )
    figure.update_layout(legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    return figure
