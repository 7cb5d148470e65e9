"""Names that would control a terminal, a page, a document or a spreadsheet are shown as text in every format."""

import csv
import re
import xml.etree.ElementTree as ElementTree
from io import StringIO
from pathlib import Path

import pytest
from frames import frame, record
from records import write
from rich.console import Console

import initbench
from initbench.report.formats.terminal import show
from initbench.status.line import line
from initbench.status.study import Study
from initbench.status.summary import summarize
from initbench.status.view import overview

# What is shown of each: control characters by their codes, the rest as it is.
NAMES = {
    "[red]x[/]": "[red]x[/]",
    "[/]": "[/]",
    "\x1b[31mred\x07": "\\x1b[31mred\\x07",
    "a\r\nb\tc": "a\\r\\nb\\tc",
    "\u202eevil\u2066": "\\u202eevil\\u2066",
    "=cmd|' /C calc'!A0": "=cmd|' /C calc'!A0",
    "@sum(1)": "@sum(1)",
    "+1": "+1",
    "-x": "-x",
    "<b>&amp;$x$": "<b>&amp;$x$",
}
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def flat(text: str) -> str:
    """Without what breaks a name over lines."""
    return re.sub(r"[\s│]", "", text)


def test_a_report_shows_them_in_every_file(tmp_path: Path) -> None:
    runs = frame(
        *(record(name, seed, 0.9 - n / 100 + seed / 1000) for n, name in enumerate(NAMES) for seed in range(6))
    )
    runs.loc[0, "reason"] = "\x1b[2Jwhy"
    initbench.verdict(runs, reference="[/]").report(tmp_path, title="\x1b[31m[red]=title")
    files = [path for path in tmp_path.rglob("*") if path.suffix in (".html", ".md", ".csv", ".tex", ".svg", ".json")]
    assert len(files) > 6
    for path in files:
        assert not FORBIDDEN.search(path.read_text("utf-8")), path
    with (tmp_path / "results.csv").open(newline="", encoding="utf-8") as rows:
        cells = {row["init"] for row in csv.DictReader(rows)}
    assert cells == {f"'{shown}" if shown[0] in "=+-@" else shown for shown in NAMES.values()}
    for path in tmp_path.glob("figures/*.svg"):
        ElementTree.parse(path)
    page = (tmp_path / "index.html").read_text("utf-8")
    assert "&lt;b&gt;&amp;amp;$x$" in page
    assert "<b>" not in page
    text = (tmp_path / "report.md").read_text("utf-8")
    assert "\\<b\\>&amp;amp;\\$x\\$" in text
    assert "`@sum(1)`" in text  # nobody is called from code


def test_the_terminal_shows_them() -> None:
    console = Console(record=True, width=200, file=StringIO())
    runs = frame(*(record(name, seed, 0.9 - n / 100) for n, name in enumerate(NAMES) for seed in (0, 1)))
    show(initbench.verdict(runs, reference="[/]"), console)
    text = console.export_text()
    assert not FORBIDDEN.search(text)
    assert all(flat(shown) in flat(text) for shown in NAMES.values())


def test_a_table_from_elsewhere_shows_them() -> None:
    import pandas as pd

    rows = [{"init": name, "seed": seed, "score": 0.5} for name in NAMES for seed in (0, 1)]
    text = str(initbench.verdict(pd.DataFrame(rows), "score"))
    assert not FORBIDDEN.search(text)


@pytest.mark.parametrize("width", [40, 120])
def test_the_status_of_a_study_shows_them_and_the_reasons(width: int, tmp_path: Path) -> None:
    for seed, name in enumerate(NAMES):
        write(tmp_path, f"init{seed}", seed, "failed", reason=name, name=f"run{seed}", model={"name": name})
    summary = summarize(Study(tmp_path).read(), 0.0)
    console = Console(record=True, width=width, file=StringIO())
    console.print(overview(summary, 0.0, width))
    for run in summary.runs:
        console.print(line(run), soft_wrap=True)
    text = console.export_text()
    assert not FORBIDDEN.search(text)
    for name, shown in NAMES.items():
        assert flat(shown if "\n" not in name else "a\\r") in flat(text)
