"""report.md, as GitHub's flavour of Markdown has tables."""

import re

import pytest
from frames import frame, record

import initbench
from initbench.report.formats.markdown import _text, markdown


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_verdict_problems_and_a_a_table_for_each_workload() -> None:
    means = {"a": 0.9, "b": 0.8}
    runs = [record(init, n, mean, model={"depth": d}) for init, mean in means.items() for n in (0, 1) for d in (1, 2)]
    text = markdown(initbench.verdict(frame(*runs[:-1])), "my_study")
    assert text.startswith("# my\\_study\n\nTwo seeds cannot show a significant difference")
    assert "- mlp on mnist, sgd lr 0.1, 100 steps, model.depth=2: b has 1 of 2 seeds (missing: 1)." in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[0] == "## Ranking"  # of depth 1: on the other they share one seed
    assert len(headings) == 3
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == 3
    for heading, rule, *rows in tables:
        assert len(rows) == 2
        assert {len(cells(line)) for line in (heading, rule, *rows)} == {len(cells(heading))}
        assert cells(rows[0])[0] == "`a`"


@pytest.mark.parametrize("init", ["a|b", "`code`", "two\nlines", "<script>", "*bold*"])
def test_a_name_stays_in_its_cell(init: str) -> None:
    text = markdown(initbench.verdict(frame(record(init, 0, 0.9), record("other", 0, 0.8))), "study")
    tables = [part.splitlines() for part in text.split("\n\n") if part.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len(table) == 4
        assert len(cells(table[2])) == len(cells(table[0]))
        assert re.fullmatch(r"`[^`]+`|two\\\\nlines", cells(table[2])[0])


def test_a_command_is_a_block_of_code() -> None:
    made = {"provenance": {"command": "python -m initbench -m init=a_b,c seed=0,1"}}
    runs = frame(
        *(record(init, n, 0.9 - 0.1 * (init == "c") + n / 100, **made) for init in ("a_b", "c") for n in (0, 1))
    )
    text = markdown(initbench.verdict(runs), "study")
    (command,) = re.findall(r"```sh\n(.*)\n```", text)
    assert command.startswith("python -m initbench -m init=a_b,c 'seed=range(")


def test_names_outside_of_tables_are_text_not_markup() -> None:
    """In the title, in sentences, in problems and in headings."""
    wild = "<b>|*x*_`[y](z)\\"
    runs = [record(f"{wild}{n}", seed, 0.9 - 0.1 * n, model={"name": wild}) for n in (0, 1) for seed in (0, 1)]
    text = markdown(initbench.verdict(frame(*runs[:-1])), f"{wild}\nnext")
    assert text.startswith("# \\<b\\>\\|\\*x\\*\\_\\`\\[y\\](z)\\\\ next\n")
    lines = [line for line in text.splitlines() if not line.startswith("|")]
    assert sum("<b" in line for line in lines) >= 4
    assert any(line.startswith("- ") for line in lines)
    for line in lines:
        line = line.removeprefix("- **").removesuffix("**")
        assert not re.search(r"(?<!\\)(?:\\\\)*[<>*_`\[\]|]", line), line


@pytest.mark.parametrize(
    "text, shown",
    [
        ("@someone &lt;", "&#64;someone &amp;lt;"),
        ("$x$ #1 ~a~", "\\$x\\$ \\#1 \\~a\\~"),
        ("-1 a", "\\-1 a"),
        ("+1", "\\+1"),
        ("=cmd", "\\=cmd"),
        ("a-1", "a-1"),
        ("<!-- a\nb -->", "\\<!-- a b --\\>"),
    ],
)
def test_text_calls_nobody_and_computes_nothing(text: str, shown: str) -> None:
    assert _text(text) == shown
