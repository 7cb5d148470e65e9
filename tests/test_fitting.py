"""Tables in terminals of every width."""

import re
from io import StringIO

import pytest
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from initbench.fitting import Fitting

NAMES = ("orthogonal(gain=1.5,bias=0.1,mode=fan_in)", "[red]zeros[/]", "名前" * 10)


def printed(width: int) -> str:
    table = Table(title="What would run")
    table.add_column("run", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("state")
    for name in NAMES:
        table.add_row(escape(name), "0.9000", "continues from its checkpoint")
    console = Console(width=width, file=StringIO(), color_system=None)
    console.print(Fitting(table))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 30, 40, 50, 60, 80, 120])
def test_every_name_and_number_is_there_whatever_the_width(width: int) -> None:
    shown = printed(width)
    assert "…" not in shown
    assert shown.count("0.9000") == 3
    joined = re.sub(r"[\s│]", "", shown)
    if width in (20, 120):  # no cell stands beside a broken name
        assert all(name in joined for name in NAMES)
    assert joined.count("checkpoint") == 3 or width in (40, 50, 60)
    assert "What would run" in shown


def test_a_table_is_whole_as_long_as_it_fits() -> None:
    def shown(width: int) -> list[str]:
        table = Table()
        for heading in ("run", "score", "loss"):
            table.add_column(heading, no_wrap=True)
        table.add_row("ones", "0.9000", "1.234")
        console = Console(width=width, file=StringIO(), color_system=None)
        console.print(Fitting(table))
        assert isinstance(console.file, StringIO)
        return console.file.getvalue().splitlines()

    natural = len(shown(100)[0])
    assert len(shown(natural)[0]) == natural
    assert "│" in shown(natural)[-2]
    assert shown(natural - 1) == ["ones", "    score: 0.9000", "    loss: 1.234"]


def test_a_wide_terminal_has_columns_and_a_narrow_one_has_lines() -> None:
    assert "│ " in printed(80)
    assert "│" not in printed(30)
    assert "    score: 0.9000\n    state: continues from its\n" in printed(30).replace(" \n", "\n")
