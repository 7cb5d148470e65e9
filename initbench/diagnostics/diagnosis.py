"""The result of `diagnose`: as a frame, as tidy rows, as a table in a terminal or a notebook, and as a figure."""

import math
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.markup import escape
from rich.table import Table

from initbench import notebook
from initbench.diagnostics.probe import QUANTITIES, Reading
from initbench.diagnostics.scalars import known_mean, scalars
from initbench.fitting import Fitting

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

_HEADINGS = {
    "pre_second_moment": "pre²",
    "post_second_moment": "post²",
    "dead": "dead",
    "saturated": "saturated",
    "gradient_second_moment": "dpre²",
    "weight_gradient_norm": "‖dW‖",
    "gradient_to_weight": "dW/W",
    "correlation": "correlation",
}
_SHARES = ("dead", "saturated", "correlation")  # the others can change by decades through depth


class Diagnosis:
    """How signal and gradient pass through a network; `print` shows all of it.

    readings: one per weighted layer, in the order of execution; net: the loss, ln_classes, input_correlation (one per
    pair of inputs) and the singular_values of the Jacobian; missing: the quantities that the model does not have, with
    the reasons.
    """

    def __init__(self, readings: Sequence[Reading], net: dict[str, Any], missing: dict[str, str]) -> None:
        self.readings = readings
        self.net = net
        self.missing = missing

    @property
    def layers(self) -> "pd.DataFrame":
        """One row per weighted layer in the order of execution; NaN if a layer does not have the quantity.

        pre_mean and pre_second_moment: of the layer's output. post_*: of the activation module after it. dead: the
        fraction of units whose activation has no derivative anywhere in the batch. saturated: the fraction of entries
        with |phi'| < 0.05. gradient_second_moment: of the loss's gradient with respect to the layer's output.
        weight_gradient_norm: of that with respect to its weights. gradient_to_weight: sqrt(mean dW^2 / mean W^2).
        correlation: mean cosine similarity of pairs of samples at the layer's output.
        """
        import pandas as pd  # slow to import, and rows do not need it

        return pd.DataFrame(self._table()).set_index("layer")

    def rows(self) -> list[dict[str, Any]]:
        """Tidy rows: layer ("" for the whole net), quantity, index (of a pair or a singular value, else 0), value."""
        per_layer = [
            (reading.layer, quantity, values)
            for reading in self.readings
            for quantity, values in [
                *((quantity, [reading.values[quantity]]) for quantity in QUANTITIES),
                ("correlation", reading.correlation),
            ]
        ]
        net = [
            ("", quantity.removesuffix("s") if isinstance(value, list) else quantity, _listed(value))
            for quantity, value in self.net.items()
        ]
        return [
            {"layer": layer, "quantity": quantity, "index": index, "value": value}
            for layer, quantity, values in [*per_layer, *net]
            for index, value in enumerate(values)
        ]

    def scalars(self) -> dict[str, float]:
        """The finite values of `<quantity>/<layer>`, and those of the net.

        The latter are the loss, ln_classes, the mean correlation, and the largest and smallest singular value.
        """
        return scalars(self.rows())

    def figure(self) -> "go.Figure":
        """Through depth: second moments, dead and saturated, dW/W, correlation; singular values of the Jacobian.

        A notebook shows it by itself. For the pages that nbconvert makes, plotly has to put its script into them:
        `plotly.io.renderers.default = "plotly_mimetype+notebook"`.
        """
        from initbench.diagnostics.figure import through_depth  # plotly takes a second to import

        of_layers = [reading.correlation for reading in self.readings]
        of_inputs = self.net.get("input_correlation", [math.nan] * len(of_layers[0]))
        return through_depth(self.layers, [of_inputs, *of_layers], self.net.get("singular_values", []))

    def __rich__(self) -> Group:
        table = Table(title="Through depth", title_justify="left", box=SIMPLE_HEAD, padding=0)
        for index, heading in enumerate(("layer", *_HEADINGS.values())):
            table.add_column(heading, justify="right" if index else "left", no_wrap=index > 0)
        for line in self._cells():
            table.add_row(*map(escape, line))
        return Group(Fitting(table), *map(escape, self._lines()))

    def __repr__(self) -> str:
        # A console in a notebook displays what is printed to it, even where that is captured.
        text = Console(file=StringIO(), width=200, color_system=None, force_jupyter=False)
        with text.capture() as capture:
            text.print(self)
        return capture.get().rstrip()

    def _repr_html_(self) -> str:
        table = self._table()
        lines = [
            notebook.sparkline([row[quantity] for row in table], is_log=quantity not in _SHARES)
            for quantity in _HEADINGS
        ]
        columns = ["layer", *_HEADINGS.values()]
        return notebook.block(
            notebook.paragraph("; ".join(self._lines())),
            notebook.table(columns, self._cells(), sparklines=["", *lines]),
        )

    def _cells(self) -> list[list[str]]:
        return [[row["layer"], *(_cell(row[quantity]) for quantity in _HEADINGS)] for row in self._table()]

    def _table(self) -> list[dict[str, Any]]:
        return [
            {"layer": reading.layer, **reading.values, "correlation": known_mean(reading.correlation)}
            for reading in self.readings
        ]

    def _lines(self) -> list[str]:
        lines = [f"loss {self.net['loss']:.4g}"]
        if not math.isnan(self.net["ln_classes"]):
            lines[0] += f", ln(classes) {self.net['ln_classes']:.4g}"
        if correlation := self.net.get("input_correlation"):
            lines.append(f"correlation of inputs {known_mean(correlation):.3g}")
        if spectrum := self.net.get("singular_values"):
            lines.append(f"singular values of the input-output Jacobian {spectrum[0]:.3g} to {spectrum[-1]:.3g}")
        return [*lines, *(f"{quantity}: {reason}" for quantity, reason in self.missing.items())]


def _listed(value: Any) -> list[float]:
    return value if isinstance(value, list) else [value]


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"
