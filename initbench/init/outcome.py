"""What an initializer would do to a model, and what it did: tables in a terminal and in a notebook."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from initbench import notebook
from initbench.init.assignment import Assignment
from initbench.init.table import rows

_PLANNED = ("parameter", "shape", "role", "rule", "scheme", "fan_in", "fan_out", "std_expected")


@dataclass(frozen=True, repr=False)
class Outcome:
    """What `Initializer.apply` did: the assignments, and what the method changed afterwards."""

    assignments: list[Assignment]
    method: str = ""
    changed: frozenset[str] = frozenset()  # names as in named_parameters()
    numbers: dict[str, float] = field(default_factory=dict)  # what the method reports: its cost and what it reached
    expected: Mapping[str, float] = field(default_factory=dict)  # the standard deviations of what the method draws

    def __repr__(self) -> str:
        return _text(rows(self), self._numbers())

    def _repr_html_(self) -> str:
        return _html(rows(self), self._numbers())

    def _numbers(self) -> list[str]:
        return [f"{name}: {value:.4g}" for name, value in self.numbers.items()]


class Plan(list[Assignment]):
    """Every parameter once, with the scheme that will fill it.

    method: the name of the method that then changes the whole model; empty if there is none.
    """

    def __init__(self, assignments: Iterable[Assignment], method: str = "") -> None:
        super().__init__(assignments)
        self.method = method

    def __repr__(self) -> str:
        return _text(self._rows(), self._then())

    def _repr_html_(self) -> str:
        return _html(self._rows(), self._then())

    def _rows(self) -> list[dict[str, Any]]:
        return [{key: row[key] for key in _PLANNED} for row in rows(Outcome(self))]

    def _then(self) -> list[str]:
        return [f"{self.method} then changes the model as a whole."] if self.method else []


def _text(found: Sequence[Mapping[str, Any]], lines: Sequence[str]) -> str:
    import pandas as pd  # slow to import, and an initialization does without it

    return "\n".join([repr(pd.DataFrame(found)), *lines])


def _html(found: Sequence[Mapping[str, Any]], lines: Sequence[str]) -> str:
    columns = list(found[0])
    cells = [[_cell(value) for value in row.values()] for row in found]
    words = columns.index("scheme") + 1  # numbers follow
    return notebook.block(notebook.table(columns, cells, names=words), *map(notebook.paragraph, lines))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
