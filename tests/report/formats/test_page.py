"""The page as HTML: what is on it, that names stay text, and that links lead to files. test_browser.py opens it."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pandas as pd
import pytest
from frames import record
from studies import write_study

import initbench
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.studies import load_studies
from initbench.analysis.verdict.verdict import Verdict
from initbench.report.write import write_page

NASTY = ["<script>alert(1)</script>", "</script><b>", "ünïcode 初期化", "a|b`c", "$x_1$ & 50%", "__proto__", "x\"y'z"]


class Parsed(HTMLParser):
    """The page's links, rows of runs and words; what is in scripts is no markup to it, as to a browser."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.rows: list[dict[str, str | None]] = []
        self.words = ""
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attributes)
        if tag == "a":
            self.links.append(found["href"] or "")
        if tag == "tr" and "data-scored" in found:
            self.rows.append(found)

    def handle_data(self, data: str) -> None:
        self.words += data


def page_of(study: Path) -> Path:
    return write_page(initbench.verdict(initbench.load_runs(study)), study / "report", study.name)


def test_names_stay_text(tmp_path: Path) -> None:
    runs = [record(init, seed, 0.5 + 0.01 * n) for n, init in enumerate(NASTY) for seed in (0, 1)]
    page = page_of(write_study(tmp_path / "<b>study", *runs))
    parsed = Parsed(page)
    assert parsed.tags.count("b") == 0
    assert {row["data-init"] for row in parsed.rows} == set(NASTY)
    for init in NASTY:
        assert init in parsed.words
    assert "<b>study" in parsed.words
    assert "https://" not in page.read_text()


def test_every_link_to_a_file_leads_to_one(tmp_path: Path) -> None:
    study = write_study(tmp_path / "a study#1?", record("a", 0), record("b", 0, status="failed"))
    folder = next(study.glob("0001-*"))
    (folder / "log.txt").write_text("why")
    page = page_of(study)
    files = [link for link in Parsed(page).links if not link.startswith("#")]
    assert len(files) == 3
    for link in files:
        assert (page.parent / unquote(link)).is_file()


def test_links_of_a_page_elsewhere_lead_to_files_whatever_the_study_is_called(tmp_path: Path) -> None:
    """As the page of two studies, which is beside them."""
    studies = [tmp_path / name for name in ("a study#1?", "50%25 über")]
    for study in studies:
        write_study(study, record("a", 0), record("b", 0))
        for folder in study.iterdir():
            (folder / "log.txt").write_text("")
    page = write_page(Verdict(Comparison(load_studies(studies))), tmp_path / "report", "both")
    files = [link for link in Parsed(page).links if not link.startswith("#")]
    assert len(files) == 8
    for link in files:
        assert (page.parent / unquote(urlsplit(link).path)).is_file()


def test_every_number_leads_to_runs(tmp_path: Path) -> None:
    runs = [record(init, n, 0.8 + 0.01 * n, lr=lr) for init in ("a", "b c&d") for n in (0, 1) for lr in (0.1, 1.0)]
    parsed = Parsed(page_of(write_study(tmp_path / "s", *runs)))
    links = [link for link in parsed.links if link.startswith("#runs?")]
    assert len(links) > 30
    for link in links:
        wanted = {f"data-{key}": value for key, (value,) in parse_qs(link.partition("?")[2]).items()}
        assert any(wanted.items() <= row.items() for row in parsed.rows), link


def test_what_is_wrong_stands_on_top(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", record("a", 0), record("a", 1), record("b", 0), record("c", 0, status="failed"))
    words = Parsed(page_of(study)).words
    assert "The study is incomplete" in words
    for problem in ("1 run failed", "b has 1 of 2 seeds (missing: 1)", "no run of c has a score"):
        assert problem in words
        assert words.index(problem) < words.index("Ranking")


def test_the_reason_of_a_refusal_is_on_it(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", record("a", 0), record("b", 0, status="refused", reason="no <residual> branch"))
    assert "b was refused: no <residual> branch" in Parsed(page_of(study)).words


@pytest.mark.parametrize("status", ["refused", "failed", "running", "interrupted"])
def test_a_study_in_which_nothing_ended_has_a_page(status: str, tmp_path: Path) -> None:
    words = Parsed(page_of(write_study(tmp_path / "s", record("a", 0, status=status)))).words
    assert "Nothing can be compared" in words
    assert f"1 run (1 {status})" in words


def test_the_commands_that_made_the_runs_are_on_it(tmp_path: Path) -> None:
    made = {"provenance": {"command": "python -m initbench -m init=a,b"}}
    study = write_study(tmp_path / "s", record("a", 0, **made))
    assert "python -m initbench -m init=a,b" in Parsed(page_of(study)).words


def test_plotly_lies_beside_it(tmp_path: Path) -> None:
    page = page_of(write_study(tmp_path / "s", record("a", 0)))
    assert 'src="plotly.min.js"' in page.read_text()
    assert (page.parent / "plotly.min.js").stat().st_size > 1_000_000


def test_a_page_of_numbers_made_elsewhere_has_neither_links_to_records_nor_words_about_them(tmp_path: Path) -> None:
    table = pd.DataFrame({"init": list("aabb"), "seed": [0, 1, 0, 1], "loss": [1.0, 1.1, 1.2, 1.4]})
    page = initbench.verdict(table, "loss", higher_is_better=False).report(tmp_path / "report")
    parsed = Parsed(page)
    assert all(link.startswith("#") for link in parsed.links)
    assert len(parsed.rows) == 4
    assert "mean loss" in parsed.words
    for words in ("accuracy", "To repeat it", "test set", "tuning"):
        assert words not in parsed.words


def test_a_reference_has_a_table_of_its_own(tmp_path: Path) -> None:
    runs = initbench.load_runs(write_study(tmp_path / "s", *(record(i, n, 0.8) for i in "abc" for n in (0, 1))))
    words = Parsed(initbench.verdict(runs, reference="b").report(tmp_path / "report")).words
    assert "b against each of the others" in words
    assert "Holm's correction covers 2 pairs." in words


def test_every_comparison_has_a_section(tmp_path: Path) -> None:
    runs = [
        record(init, n, 0.8, model={"depth": d}) for d, of in enumerate(("ab", "cd")) for init in of for n in (0, 1)
    ]
    words = Parsed(page_of(write_study(tmp_path / "s", *runs))).words
    for depth in (0, 1):
        assert f"Compared on mlp on mnist, sgd lr 0.1, 100 steps, model.depth={depth}" in words
