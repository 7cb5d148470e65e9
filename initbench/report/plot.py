"""A plot as plain data: series of points with bands, one an initializer, in views to choose from.

page.js draws it; everything that is drawn is also in the plot's table.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

View = Mapping[str, Sequence[Any]]  # x, y, and where there are any low, high, text


@dataclass(frozen=True)
class Plot:
    """`choices` are the selects above it; a view's key is what they choose, joined by `|`."""

    name: str  # unique on the page
    title: str
    caption: str
    series: dict[str, dict[str, View]]  # by initializer and view
    x_titles: dict[str, str]  # by view
    y_titles: dict[str, str]
    choices: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)  # name, (value, label)
    log_x: bool = False
    log_y: bool = False
    step: bool = False  # drawn in steps
    markers: bool = False
    unit_y: bool = False  # y is a share: the axis shows 0 to 1
    forest: bool = False  # a point with a horizontal interval for each initializer

    @property
    def payload(self) -> dict[str, Any]:
        return {
            "series": {
                init: {key: _rounded(view) for key, view in views.items()} for init, views in self.series.items()
            },
            "x": self.x_titles,
            "y": self.y_titles,
            "logX": self.log_x,
            "logY": self.log_y,
            "step": self.step,
            "markers": self.markers,
            "unitY": self.unit_y,
            "forest": self.forest,
        }

    def table(self, rows: int = 24) -> pd.DataFrame:
        """What the first view draws: a row an x, at most `rows` of them, a column an initializer."""
        first = next(iter(self.x_titles))
        if self.forest:
            points = {init: views[first] for init, views in self.series.items()}
            rows_ = {init: [point["x"][0], point["low"][0], point["high"][0]] for init, point in points.items()}
            return pd.DataFrame.from_dict(rows_, orient="index", columns=[self.x_titles[first], "low", "high"])
        columns = {}
        for init, views in self.series.items():
            if first in views:
                x = views[first].get("text") or views[first]["x"]
                columns[init] = pd.Series(list(views[first]["y"]), index=list(x)).groupby(level=0, sort=False).last()
        table = pd.DataFrame(columns)
        if len(table) > rows and not any("text" in views.get(first, {}) for views in self.series.values()):
            table = table.sort_index().iloc[np.linspace(0, len(table) - 1, rows).round().astype(int)]
        table.index.name = self.x_titles[first]
        return table


def _rounded(view: View) -> dict[str, list[Any]]:
    return {key: [_short(value) for value in values] for key, values in view.items()}


def _short(value: Any) -> Any:
    """Five digits are more than a screen shows; JSON has neither NaN nor infinity."""
    if isinstance(value, str):
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    short = float(f"{number:.5g}")
    return int(short) if short.is_integer() else short
