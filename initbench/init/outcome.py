"""What an initializer would do to a model, and what it did: a row per parameter, as text and in a notebook."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from initbench import notebook
from initbench.init.ambient import plain_torch
from initbench.init.assignment import Assignment
from initbench.init.copying import whole
from initbench.init.roles import value_of


class Plan(list[Assignment]):
    """Every parameter once, with the scheme that will fill it; `print` shows it as a table.

    method: the name of what then changes the model as a whole; empty if nothing does.
    """

    def __init__(self, assignments: Iterable[Assignment], method: str = "") -> None:
        super().__init__(assignments)
        self.method = method

    def __repr__(self) -> str:
        return _text(list(map(_row, self)), *self._then())

    def _repr_html_(self) -> str:
        return _html(list(map(_row, self)), *self._then())

    def _then(self) -> list[str]:
        return [f"{self.method} then changes the model as a whole."] if self.method else []


@dataclass(frozen=True, repr=False)
class Outcome:
    """What `Initializer.apply` did: the assignments, and what the method changed afterwards."""

    assignments: list[Assignment]
    method: str = ""
    changed: frozenset[str] = frozenset()  # names as in named_parameters()
    numbers: dict[str, float] = field(default_factory=dict)  # what the method reports: its cost and what it reached

    def __repr__(self) -> str:
        return _text(rows(self), *self._numbers())

    def _repr_html_(self) -> str:
        return _html(rows(self), *self._numbers())

    def _numbers(self) -> list[str]:
        return [f"{name}: {value:.4g}" for name, value in self.numbers.items()]


@plain_torch()
def rows(outcome: Outcome) -> list[dict[str, Any]]:
    """The rows of `describe` as mappings; mean and std are those of the parameters as they are now."""
    found = []
    for assignment in outcome.assignments:
        row = _row(assignment) | {"mean": _moment(assignment, torch.mean), "std": _moment(assignment, torch.std)}
        if _is_changed_by_method(assignment, outcome):
            row |= {"scheme": f"{row['scheme']}, {outcome.method}", "std_expected": None}
        found.append(row)
    return found


def scheme_std(assignment: Assignment) -> float | None:
    """The scheme's standard deviation in closed form, None if it has none (see `declarations.expected_std`)."""
    scheme = assignment.scheme
    std = getattr(scheme.function, "std", None)
    return None if std is None else std(assignment.layer, **scheme.parameters)


def _row(assignment: Assignment) -> dict[str, Any]:
    kept, layer = assignment.kept, assignment.layer
    return {
        "parameter": layer.name,
        "shape": "x".join(map(str, assignment.parameter.tensor.shape)) or "scalar",
        "role": assignment.parameter.role,
        "rule": assignment.rule,
        "scheme": f"kept ({kept})" if kept else _label(assignment),
        "fan_in": layer.fan_in,
        "fan_out": layer.fan_out,
        "std_expected": None if kept else scheme_std(assignment),
    }


def _label(assignment: Assignment) -> str:
    offset, scheme = assignment.layer.offset, assignment.scheme
    return f"{scheme.label} - {offset}" if offset and not scheme.is_default else scheme.label  # the module adds it


def _is_changed_by_method(assignment: Assignment, outcome: Outcome) -> bool:
    parameter = assignment.parameter
    if not parameter.parametrized:
        return parameter.name in outcome.changed
    behind = f"{parameter.module_name}.parametrizations.{parameter.key}.".lstrip(".")
    return any(name.startswith(behind) for name in outcome.changed)


def _moment(assignment: Assignment, moment: Any) -> float | None:
    # Read again, since a parametrized tensor is recomputed at each access.
    tensor = whole(value_of(assignment.layer.module, assignment.layer.key).detach())
    if tensor.numel() == 0 or tensor.is_complex():
        return None
    if tensor.numel() == 1 and moment is torch.std:
        return 0.0
    return float(moment(tensor.float()))


def _text(found: Sequence[Mapping[str, Any]], *lines: str) -> str:
    import pandas as pd  # slow to import, and only who looks at a table needs it

    return "\n".join([repr(pd.DataFrame(found)), *lines])


def _html(found: Sequence[Mapping[str, Any]], *lines: str) -> str:
    columns = list(found[0])
    cells = [[_cell(value) for value in row.values()] for row in found]
    words = columns.index("scheme") + 1  # numbers follow
    return notebook.block(notebook.table(columns, cells, names=words), *map(notebook.paragraph, lines))


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
