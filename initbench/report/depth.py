"""Signal and gradient through depth before the first step, initializer by initializer."""

from html import escape

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from initbench.analysis.frame import load_layers
from initbench.figures import COLOURS, DASHES, log_axis

PANELS = {
    "pre_second_moment": "second moment of the pre-activations",
    "gradient_second_moment": "second moment of their gradient",
}


def through_depth(inits: list[str], runs: pd.DataFrame) -> go.Figure | None:
    """Second moments layer by layer at step 0, an initializer a line; None where no run was diagnosed.

    The colours are those of `inits` in the learning curves; the median over seeds is drawn. Zeros are gaps.
    """
    figure = make_subplots(rows=1, cols=len(PANELS), subplot_titles=list(PANELS.values()), horizontal_spacing=0.08)
    for index, init in enumerate(inits):
        curves = median_curves(runs[runs["init"] == init])
        for column, quantity in enumerate(PANELS, start=1):
            if quantity not in curves:
                continue
            values = curves[quantity]
            figure.add_scatter(
                x=list(range(1, len(values) + 1)),
                y=[value if value > 0 else None for value in values],
                text=[escape(str(name)) for name in values.index],
                name=escape(init),
                legendgroup=init,
                showlegend=column == 1,
                mode="lines+markers",
                line={"color": COLOURS[index % len(COLOURS)], "dash": DASHES[index % len(DASHES)], "width": 2},
                marker={"size": 4},
                hovertemplate="%{text}: %{y:.3g}",
                row=1,
                col=column,
            )
    if not figure.data:
        return None
    for column in range(1, len(PANELS) + 1):
        figure.update_yaxes(
            log_axis(value for line in figure.select_traces(col=column) for value in line.y), col=column
        )
    figure.update_xaxes(title_text="layer")
    figure.update_layout(template="plotly_white", height=400, margin={"l": 60, "r": 20, "t": 40, "b": 50})
    return figure


def median_curves(runs: pd.DataFrame) -> pd.DataFrame:
    """Median over runs at step 0: a row a layer in the order of execution, a column a quantity of `PANELS`."""
    tables = [load_layers(path) for path in runs["path"]]
    if not any(len(table) for table in tables):
        return pd.DataFrame()
    rows = pd.concat(table for table in tables if len(table))
    rows = rows[(rows["step"] == 0) & rows["quantity"].isin(PANELS)]
    medians = rows.groupby(["layer", "quantity"], sort=False)["value"].median().unstack()
    return medians.loc[rows["layer"].unique()]  # unstack sorts by name
