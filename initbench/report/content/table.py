"""A table as text: one row per initializer, and which runs are behind each number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from initbench.metric import Metric


@dataclass(frozen=True)
class Table:
    """`runs` are the filters of the table of runs that show what is behind it; those of its initializer join them."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]  # initializer, cells
    runs: Mapping[str, str] = field(default_factory=dict)
    column_runs: Sequence[Mapping[str, str]] = field(default_factory=tuple)  # more of them, for each column
    note: str = ""

    def behind(self, init: str, column: int) -> dict[str, str]:
        return {**self.runs, "init": init, **(self.column_runs[column] if self.column_runs else {})}

    def without_empty(self) -> "Table":
        """The same without the columns in which no row says anything."""
        return self._only(
            [at for at, _ in enumerate(self.columns) if any(cells[at] not in ("", "-") for _, cells in self.rows)]
        )

    def without_intervals(self) -> "Table":
        return self._only([at for at, name in enumerate(self.columns) if not name.startswith("95 % interval")])

    def _only(self, kept: Sequence[int]) -> "Table":
        rows = [(init, [cells[at] for at in kept]) for init, cells in self.rows]
        return replace(self, columns=[self.columns[at] for at in kept], rows=rows)


@dataclass(frozen=True)
class PairTable:
    """A row for each two initializers: the higher, the lower, cells."""

    columns: list[str]
    rows: list[tuple[str, str, list[str]]]


def interval(low: float, high: float, metric: Metric, sign: str = "") -> str:
    """An interval of differences."""
    known = not (math.isnan(low) or math.isnan(high))
    return f"{metric.number(low, sign)} to {metric.number(high, sign)}" if known else ""


def number(value: float, form: str) -> str:
    # Rounded once before: two ways to the same mean differ in their last bits, which may be all between two roundings.
    return "-" if math.isnan(value) else f"{round(value, 10):{form}}"


def steps(value: float) -> str:
    return "never" if math.isinf(value) else number(value, ".0f")


def half_width(value: float, metric: Metric) -> str:
    if math.isnan(value):
        return ""
    return f" ± {value:.4f}" if metric.is_share else f" ± {value:.2g}"
