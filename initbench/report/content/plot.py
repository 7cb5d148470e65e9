"""A plot as plain data: series of points with bands, one per initializer, in views to choose from.

page.js draws it and writes the table of the view that is shown; paper_figures.py draws the first view.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_UNSEEN = 0.006  # of the height of a plot: about a pixel

View = Mapping[str, Sequence[Any]]  # x, y and, if there are any, low, high, text; z in a map


@dataclass(frozen=True)
class Plot:
    """A plot with one series per initializer.

    choices: the selects above it, as (name, [(value, label)]); the key of a view is the chosen values, joined by `|`.
    """

    name: str  # unique on the page
    title: str
    caption: str
    series: dict[str, dict[str, View]]  # by initializer and view
    x_titles: dict[str, str]  # by view
    y_titles: dict[str, str]
    choices: list[tuple[str, list[tuple[str, str]]]] = field(default_factory=list)  # name, (value, label)
    runs: Mapping[str, str] = field(default_factory=dict)  # the filters, besides init, that show the runs behind it
    log: Mapping[str, str] = field(default_factory=dict)  # by view: the axes that are logarithmic at first, "x", "xy"
    step: bool = False  # drawn in steps
    markers: bool = False
    unit_y: bool = False  # y is a share: the axis shows 0 to 1
    forest: bool = False  # a point with a horizontal interval for each initializer
    levels: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by view: values of y to compare with
    # What the series are to be like, by name: a line or, with z, a map; and points behind the lines.
    truth: Mapping[str, View] = field(default_factory=dict)
    points: Mapping[str, View] = field(default_factory=dict)
    z_title: str = ""  # each series is a map, a panel of points (x, y) that are coloured by z

    @property
    def first(self) -> str:
        """The view that is shown first, and drawn for papers."""
        return next(iter(self.x_titles))

    @property
    def log_axes(self) -> str:
        """The axes that can be made logarithmic."""
        return "" if self.truth else "x" if self.forest else "xy"

    def hidden(self, view: str) -> dict[str, str]:
        """The lines that cannot be seen, by initializer, each with one that is drawn over all of it."""
        if self.forest or self.z_title:
            return {}
        is_log = self.log.get(view, "")
        lines = [
            (init, _scaled(views[view]["x"], "x" in is_log), _scaled(views[view]["y"], "y" in is_log))
            for init, views in self.series.items()
            if view in views
        ]
        every = np.concatenate([y for _, _, y in lines]) if lines else np.empty(0)
        known = every[np.isfinite(every)]
        near = _UNSEEN * (1.0 if self.unit_y or not known.size else float(np.ptp(known)))
        found = {}
        for place, (init, x, y) in enumerate(lines):
            seen = np.isfinite(x) & np.isfinite(y)
            for other, of_x, of_y in lines[place + 1 :]:
                drawn = np.isfinite(of_x) & np.isfinite(of_y)
                if not seen.any() or not drawn.any():
                    continue
                there = np.interp(x[seen], of_x[drawn], of_y[drawn], left=np.inf, right=np.inf)
                if (np.abs(there - y[seen]) <= near).all():
                    found[init] = other
        return found

    @property
    def payload(self) -> dict[str, Any]:
        """The plot as JSON. A column that several views share, such as the steps, is written once."""
        places: dict[Any, int] = {}
        columns: list[list[Any]] = []

        def place(values: Sequence[Any]) -> int:
            short = _short(values)
            key = tuple(short)
            if key not in places:
                places[key] = len(columns)
                columns.append(short)
            return places[key]

        def placed(views: Mapping[str, View]) -> dict[str, dict[str, int]]:
            return {key: {name: place(values) for name, values in view.items()} for key, view in views.items()}

        return {
            "columns": columns,
            "series": {init: placed(views) for init, views in self.series.items()},
            "truth": placed(self.truth),
            "points": placed(self.points),
            "z": self.z_title,
            "x": self.x_titles,
            "y": self.y_titles,
            "runs": self.runs,
            "log": self.log,
            "step": self.step,
            "markers": self.markers,
            "hidden": {view: self.hidden(view) for view in self.x_titles},
            "unitY": self.unit_y,
            "forest": self.forest,
            "levels": self.levels,
        }


def _scaled(values: Sequence[Any], is_log: bool) -> np.ndarray:
    numbers = np.asarray(values, dtype=float)
    if is_log:
        return np.log10(numbers, where=numbers > 0, out=np.full_like(numbers, np.nan))
    return numbers


def _short(values: Sequence[Any]) -> list[Any]:
    """The values with five digits, more than a screen shows; None for NaN and infinity, which JSON lacks."""
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
