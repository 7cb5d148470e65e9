"""Rankings and a verdict in the terminal."""

from io import StringIO
from typing import Any

import pytest
from frames import frame, record
from rich.cells import cell_len
from rich.console import Console

import initbench
from initbench.metric import ACCURACY
from initbench.report.content.workload_tables import ranking_table
from initbench.report.formats.terminal import as_rich, show


def printed(*records: dict[str, object], width: int = 120, **asked: Any) -> str:
    console = Console(record=True, width=width, file=StringIO())
    show(initbench.verdict(frame(*records), **asked), console)
    return console.export_text()


def test_a_table_for_each_workload_then_the_sentences() -> None:
    text = printed(*(record(init, n, 0.8, model={"depth": d}) for init in "ab" for n in (0, 1) for d in (1, 2)))
    places = [text.index(words) for words in ("model.depth=1", "model.depth=2", "a and b have the same score")]
    assert places == sorted(places)


def test_the_table_says_never_and_hides_empty_columns() -> None:
    text = printed(record("[a]", 0, hits=(None, 50)), record("b", 0, hits=(None, None)))
    assert "[a]" in text
    assert "never" in text
    assert "diverged" not in text
    assert "learning rate" not in text


def test_learning_rates_are_shown_where_there_was_a_choice() -> None:
    rows = [record("a", seed, 0.5 + lr, lr=lr) for seed in (0, 1) for lr in (0.1, 0.3)]
    assert "0.3" in printed(*rows)


def test_a_reference_has_its_table() -> None:
    text = printed(*(record(init, n, 0.8 + n / 100) for init in "abc" for n in range(6)), reference="b")
    assert "b against each of the others" in text


@pytest.mark.parametrize("width", [80, 90, 120])
def test_no_line_is_wider_than_the_terminal_and_no_cell_is_cut(width: int) -> None:
    names = ("kaiming_normal", "orthogonal(gain=1.5,bias=0)", "名前" * 8)
    rows = [
        record(init, seed, 0.9 if seed else 0.1, lr=lr, hits=(10, 20))
        for init in names
        for seed in range(3)
        for lr in (0.006, 0.002)
    ]
    lines = printed(*rows, record("a", 9, status="failed"), width=width).splitlines()
    drawn = [line for line in lines if line.startswith(tuple("┏┃┡│└"))]
    assert {cell_len(line) for line in drawn} == {cell_len(drawn[0])} <= set(range(width + 1))
    text = "\n".join(drawn)
    for cells in ("2 of 3", "0.6333", "100%", " 20 "):
        assert text.count(cells) == 3
    assert "…" not in text


@pytest.mark.parametrize("width", [80, 200])
def test_no_number_is_cut_off_in_a_narrow_terminal(width: int) -> None:
    runs = frame(*(record("kaiming_normal", n, (0.1, 0.91)[n % 2], hits=(50, None)) for n in range(8)))
    table = ranking_table(initbench.verdict(runs).comparison.rankings[0], ACCURACY)
    console = Console(record=True, width=width, file=StringIO())
    console.print(as_rich(table, "title", width))
    text = console.export_text()
    for cells in ("kaiming_normal", "4 of 8", "0.5050", "100%", " 50 "):
        assert cells in text
    assert ("16% to 84%" in text) == (width == 200)  # the page has the intervals too
