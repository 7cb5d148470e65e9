"""A table as text: one row per initializer, and which runs are behind each number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from initbench.metric import Metric


@dataclass(frozen=True)
class Table:
    """A table with one row per initializer.

    runs: filters for the page's table of runs that show the runs behind this table; column_runs: further filters for
    each column.
    """

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]  # initializer, cells
    runs: Mapping[str, str] = field(default_factory=dict)
    column_runs: Sequence[Mapping[str, str]] = field(default_factory=tuple)  # one for each column, or none
    note: str = ""

    def behind(self, init: str, column: int) -> dict[str, str]:
        """The filters that show the runs behind a cell."""
        return {**self.runs, "init": init, **(self.column_runs[column] if self.column_runs else {})}

    def without_empty(self) -> "Table":
        """The same without the columns that are empty in all rows."""
        return self._only(
            [at for at, _ in enumerate(self.columns) if any(cells[at] not in ("", "-") for _, cells in self.rows)]
        )

    def without_intervals(self) -> "Table":
        """The same without the columns of intervals."""
        return self._only([at for at, name in enumerate(self.columns) if not name.startswith("95% interval")])

    def _only(self, kept: Sequence[int]) -> "Table":
        rows = [(init, [cells[at] for at in kept]) for init, cells in self.rows]
        return replace(self, columns=[self.columns[at] for at in kept], rows=rows)


@dataclass(frozen=True)
class PairTable:
    """A table with one row per pair of initializers: the one with the higher mean, the other one, cells."""

    columns: list[str]
    rows: list[tuple[str, str, list[str]]]


def interval(low: float, high: float, metric: Metric, sign: str = "") -> str:
    """An interval of differences; empty if it is not known."""
    known = not (math.isnan(low) or math.isnan(high))
    return f"{metric.number(low, sign)} to {metric.number(high, sign)}" if known else ""


def number(value: float, form: str) -> str:
    """A number in the given format; "-" for NaN."""
    # Rounded to ten digits first: the same mean, computed in two ways, may differ in its last bits, and then print
    # differently.
    return "-" if math.isnan(value) else f"{round(value, 10):{form}}"


def steps(value: float) -> str:
    """A number of steps; "never" if it is infinite."""
    return "never" if math.isinf(value) else number(value, ".0f")


def half_width(value: float, metric: Metric) -> str:
    """The half width of an interval of means, to be put after the mean; empty if it is not known."""
    if math.isnan(value):
        return ""
    return f" ± {value:.4f}" if metric.is_share else f" ± {value:.2g}"
