"""A plot as plain data: series of points with bands, one an initializer, in views to choose from.

page.js draws it, and writes the table of the view that is shown; paper.py draws the first view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
    runs: Mapping[str, str] = field(default_factory=dict)  # the filters that show the runs behind it, beside init
    log: Mapping[str, str] = field(default_factory=dict)  # by view: the axes that are logarithmic at first, "x", "xy"
    step: bool = False  # drawn in steps
    markers: bool = False
    unit_y: bool = False  # y is a share: the axis shows 0 to 1
    forest: bool = False  # a point with a horizontal interval for each initializer

    @property
    def first(self) -> str:
        """The view that is shown at first, and drawn for papers."""
        return next(iter(self.x_titles))

    @property
    def payload(self) -> dict[str, Any]:
        """All of it as JSON. A column that several views share, like the steps, is written once."""
        places: dict[Any, int] = {}
        columns: list[list[Any]] = []

        def place(values: Sequence[Any]) -> int:
            short = _short(values)
            key = tuple(short)
            if key not in places:
                places[key] = len(columns)
                columns.append(short)
            return places[key]

        series = {
            init: {key: {name: place(values) for name, values in view.items()} for key, view in views.items()}
            for init, views in self.series.items()
        }
        return {
            "columns": columns,
            "series": series,
            "x": self.x_titles,
            "y": self.y_titles,
            "runs": self.runs,
            "log": self.log,
            "step": self.step,
            "markers": self.markers,
            "unitY": self.unit_y,
            "forest": self.forest,
        }


def _short(values: Sequence[Any]) -> list[Any]:
    """Five digits are more than a screen shows; JSON has neither NaN nor infinity."""
    if len(values) and isinstance(next(iter(values)), str):
        return list(values)
    numbers = np.asarray(values, dtype=float)
    known = np.isfinite(numbers)
    size = np.floor(np.log10(np.abs(numbers), where=known & (numbers != 0), out=np.zeros_like(numbers)))
    scale = 10.0 ** np.clip(4 - size, 0, 300)
    short = np.where(np.abs(numbers) < 1e5, np.round(numbers * scale) / scale, np.round(numbers))
    if known.all() and (short == np.round(short)).all() and (np.abs(short) < 2**53).all():
        return short.astype(int).tolist()
    return [value if is_known else None for value, is_known in zip(short.tolist(), known.tolist(), strict=True)]
