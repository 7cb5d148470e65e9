"""The table of what was initialized, as a terminal shows it."""

import re
from io import StringIO

import pytest
from rich.console import Console
from torch import nn

from initbench import Initializer
from initbench.init.table import rows
from initbench.training.init_table import as_table


def printed(width: int, **init: object) -> str:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    outcome = Initializer("kaiming_normal", **init).apply(model, seed=0)
    console = Console(width=width, file=StringIO(), color_system=None)
    console.print(as_table(rows(outcome)))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_no_number_is_lost_whatever_the_width(width: int) -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))
    found = rows(Initializer("kaiming_normal").apply(model, seed=0))
    shown = printed(width)
    assert "…" not in shown
    for row in found:
        for column in ("std", "std_expected", "mean"):
            assert f"{row[column]:.3g}" in shown
    assert len(re.findall("expected: |fan_in: ", shown)) in (0, 6)
    assert max(map(len, shown.splitlines())) <= width


def test_the_rule_is_shown_where_there_are_rules() -> None:
    assert "rule" not in printed(120)
    assert "rule 2" in " ".join(printed(120, rules=[{"match": "2", "weight": "zeros"}]).split())


def test_cells_are_as_they_are_whatever_they_hold() -> None:
    """Brackets are no markup, three digits are enough, and what is not known is left out."""
    row = {"parameter": "[red]w[/red]", "role": "weight", "rule": "weight", "scheme": "normal", "fan_in": 12345}
    row |= {"fan_out": None, "std": 0.000123456, "std_expected": 2.0, "mean": None}
    console = Console(width=200, file=StringIO(), color_system=None)
    console.print(as_table([row]))
    assert isinstance(console.file, StringIO)
    shown = console.file.getvalue()
    assert shown.splitlines()[-1].split() == ["[red]w[/red]", "weight", "normal", "12345", "0.000123", "2"]
    header = next(line for line in shown.splitlines() if "parameter" in line)
    assert header.split() == ["parameter", "role", "scheme", "fan_in", "fan_out", "std", "expected", "mean"]
