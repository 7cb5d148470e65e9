"""`initbench.verdict`, from records and from anybody's numbers."""

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import frame, record

import initbench


def scores(seeds: int = 8, datasets: tuple[str, ...] = ("cifar", "mnist"), noise: float = 0.02) -> pd.DataFrame:
    """A validation loss of three methods."""
    rng = np.random.default_rng(0)
    rows = [
        (method, data, seed, loss + noise * rng.standard_normal())
        for method, loss in (("mine", 0.4), ("theirs", 0.5), ("old", 0.9))
        for data in datasets
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows, columns=["method", "dataset", "seed", "val_loss"])


def of(table: pd.DataFrame, **asked: Any) -> initbench.verdict:
    names: dict[str, Any] = {"init": "method", "workload": ["dataset"], "seed": "seed"}
    return initbench.verdict(table, score="val_loss", higher_is_better=False, **{**names, **asked})


def test_a_loss_of_three_methods_on_two_workloads() -> None:
    found = of(scores(), unit="nats")
    first, second, *_ = str(found).splitlines()
    assert first.startswith("Use mine: it beat every other initializer; ")
    assert second.startswith("mine has the lowest mean val_loss, 0.39")
    assert "nats (8 seeds on each of 2 workloads). Its smallest lead is 0.105 nats, over theirs" in second


def test_records_need_no_names() -> None:
    runs = frame(*(record(i, s, m + s / 1000) for i, m in (("a", 0.9), ("b", 0.8)) for s in range(6)))
    assert str(initbench.verdict(runs)).startswith("Use a: it beat b; ")
    assert initbench.verdict(runs, reference="b").sentences[0].kind == "reference"


def test_it_can_be_written_as_json_with_every_number_known_or_none() -> None:
    content = of(scores(), reference="old", margin=0.05).to_dict()
    again = json.loads(json.dumps(content, allow_nan=False))
    assert again["metric"] == {"name": "val_loss", "higher_is_better": False, "unit": ""}
    (compared,) = again["comparisons"]
    assert (compared["winner"], compared["leader"]) == (None, "old")
    assert compared["worse"] == ["theirs", "mine"]
    assert compared["workloads"] == ["cifar", "mnist"]
    # Values of the metric, not scores: the lowest loss is first, and an interval has its lower end first.
    best = compared["overall"][0]
    assert best["init"] == "mine"
    assert 0.35 < best["low"] < best["iqm"] < best["high"] < 0.45
    ranking = again["workloads"][0]["ranking"][0]
    assert ranking["iqm_low"] < ranking["iqm"] < ranking["iqm_high"]
    assert {row["a"] for row in compared["pairs"]} == {"mine", "theirs"}


def test_a_report_from_anybodys_numbers(tmp_path: Path) -> None:
    page = of(scores()).report(tmp_path / "report", "Losses")
    assert "Use mine" in page.read_text()
    names = {path.name for path in (tmp_path / "report").rglob("*") if path.is_file()}
    assert {"report.md", "verdict.json", "results.csv", "pairs.csv", "ranking.tex", "pairs.tex", "ranking.pdf"} <= names
    results = pd.read_csv(tmp_path / "report" / "results.csv")
    assert results["score"].mean() == pytest.approx(scores()["val_loss"].mean())


@pytest.mark.parametrize(
    "spoil, asked, message",
    [
        (lambda t: t.iloc[:0], {}, "the table has no rows"),
        (
            lambda t: t,
            {"reference": "nine"},
            "unknown reference 'nine'. Did you mean 'mine'? Allowed: mine, old, theirs",
        ),
        (lambda t: t, {"margin": 0}, "margin must be a number above 0, got 0"),
        (lambda t: t, {"margin": -1.0}, "margin must be a number above 0, got -1.0"),
        (lambda t: t, {"margin": math.nan}, "margin must be a number, got nan"),
        (lambda t: t, {"margin": "big"}, "margin must be a number, got 'big'"),
        (lambda t: t, {"margin": True}, "margin must be a number, got True"),
        (lambda t: t, {"margin": 10**400}, "margin must be a number below 1e+50, got inf"),
        (lambda t: t, {"chance": math.inf}, "chance must be a number below 1e+50, got inf"),
        (lambda t: t, {"chance": pd.NA}, "chance must be a number, got <NA>"),
        (lambda t: t, {"chance": "0.1"}, "chance must be a number, got '0.1'"),
        (lambda t: t, {"chance": 10, "unit": "share"}, "chance must be a share of 0 to 1, got 10"),
        (lambda t: t, {"unit": 1}, "unit must be text, got 1"),
        (lambda t: t, {"init": None}, "there is no column None."),
        (lambda t: t, {"init": ["method"]}, "['method'] cannot be the name of a column"),
        (lambda t: t, {"init": "seed"}, "column 'seed' is named for two purposes"),
        (lambda t: t, {"workload": None}, "there is no column None."),
        (lambda t: t, {"seed": True}, "there is no column True."),
        (
            lambda t: t.assign(val_loss=60.0),
            {"unit": "share"},
            "row 0: val_loss is 60, which is not a share of 0 to 1;",
        ),
        (lambda t: t.to_dict(), {}, "frame must be a pandas DataFrame, got dict"),
        (lambda t: t["val_loss"], {}, "frame must be a pandas DataFrame, got Series"),
        (lambda t: t.rename(columns={"val_loss": "loss"}), {}, "there is no column 'val_loss'."),
    ],
)
def test_what_cannot_be_is_one_line(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the message is compared below
        of(spoil(scores()), **asked)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("better", ["no", None, 1, pd.NA])
def test_a_direction_is_true_or_false(better: Any) -> None:
    with pytest.raises(ValueError, match=r"^higher_is_better must be True or False, got "):
        initbench.verdict(scores(), "val_loss", better, init="method")


def test_numbers_and_names_of_any_type_are_taken() -> None:
    table = scores().assign(method=lambda t: t["method"].map({"mine": 1, "theirs": 2, "old": 3}))
    table = table.rename(columns={"val_loss": 7})
    for number in (np.int64(1), np.float32(1), Decimal(1), Fraction(1), 1):
        found = initbench.verdict(
            table, 7, np.False_, init="method", workload="dataset", margin=number, chance=number, reference=2
        )
        assert found.comparison.points == 1.0
        assert found.comparison.reference == "2"
        json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("to", [None, 5, ""])
def test_a_report_needs_a_folder_and_a_title(to: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^folder must be a path, got "):
        of(scores()).report(to)
    with pytest.raises(ValueError, match=r"^title must be text, got None"):
        of(scores()).report(tmp_path, None)  # type: ignore[arg-type]  # which is what is tested


def test_what_is_about_tables_is_not_ignored_with_records() -> None:
    runs = frame(*(record(i, s, 0.9) for i in "ab" for s in range(6)))
    wrong: list[dict[str, Any]] = [
        {"higher_is_better": False},
        {"chance": 5},
        {"init": "nope"},
        {"workload": "model"},
        {"unit": "%"},
    ]
    for asked in wrong:
        with pytest.raises(ValueError, match=r"^score= must name the column of scores"):
            initbench.verdict(runs, **asked)
    with pytest.raises(ValueError, match=r"^score= must name the column of scores"):
        initbench.verdict(runs[["workload", "init", "seed", "score", "status"]])


def test_small_scores_are_no_ties() -> None:
    for factor in (1e-9, 1e-12, 1e12):
        table = scores().assign(val_loss=lambda t, factor=factor: factor * t["val_loss"])
        assert str(of(table)).startswith("Use mine: it beat every other initializer; ")


def test_a_failure_never_beats_a_run_that_ended() -> None:
    """Whatever somebody thinks chance is."""
    table = scores()
    table.loc[table["method"] == "old", "val_loss"] = None
    found = of(table, chance=0.001)
    assert str(found).startswith("Use mine: ")
    assert found.comparison.main is not None
    assert found.comparison.main.overall.index[-1] == "old"


def test_a_method_without_any_score_is_neither_tied_nor_beaten() -> None:
    table = scores()
    table.loc[table["method"] == "old", "val_loss"] = None
    found = of(table)
    assert str(found).startswith("Use mine: it beat theirs; ")
    assert "no run of old has a score" in str(found.to_dict()["problems"])


def test_where_all_are_at_chance_none_is_recommended() -> None:
    table = scores().assign(val_loss=lambda t: 0.9 - t["seed"] / 1000)
    found = of(table, unit="share", chance=0.9)
    assert str(found).endswith("learned anything: there is nothing to choose between them.")


def test_runs_without_a_score_are_told() -> None:
    table = scores()
    table.loc[(table["method"] == "old") & (table["seed"] == 3), "val_loss"] = None
    text = str(of(table))
    assert "Runs without a finite score count as the worst score of the workload: 1 of 8 runs of old (" in text
    assert "learned" not in text


def test_names_of_tables_are_no_studies() -> None:
    table = scores().assign(method=lambda t: t["method"].replace({"mine": "adam @ 1", "theirs": "adam @ 2"}))
    assert str(of(table)).startswith("Use adam @ 1: it beat every other initializer; ")


def test_a_frame_that_is_none_of_ours_needs_a_score() -> None:
    with pytest.raises(ValueError, match=r"score= must name the column of scores\. Columns: method, dataset"):
        initbench.verdict(scores())
    with pytest.raises(ValueError, match="the frame has no rows"):
        initbench.verdict(frame(record("a", 0)).iloc[:0])


@pytest.mark.parametrize(
    "table, first",
    [
        (scores(1).iloc[[0, 2]], "One seed cannot show a significant difference; at least six are needed."),
        (scores(1), "One seed cannot show a significant difference; at least six are needed."),
        (scores().assign(val_loss=0.5), "mine, old and theirs have the same score in every run."),
        (scores().assign(val_loss=math.nan), "Nothing can be compared: no run has a score."),
        (
            scores()[lambda t: t["method"] == "old"],
            "Nothing can be compared: old is the only initializer that has a score.",
        ),
        (scores(3, ("cifar",)), "Three seeds cannot show a significant difference; at least six are needed."),
    ],
)
def test_studies_that_show_nothing_still_have_a_page(table: pd.DataFrame, first: str, tmp_path: Path) -> None:
    found = of(table)
    assert found.sentences[0].text == first
    assert first[:40] in found.report(tmp_path).read_text()
    json.dumps(found.to_dict(), allow_nan=False)


def test_failures_score_chance_and_are_never_dropped() -> None:
    """Mine is ahead among the runs that ended, but half of its runs did not."""
    table = scores(10)
    table.loc[(table["method"] == "mine") & (table["seed"] % 2 == 0), "val_loss"] = math.inf
    found = of(table, chance=2.3)
    assert found.comparison.main is not None
    assert found.comparison.main.overall.index[-1] == "mine"
    kinds = {sentence.kind: sentence.text for sentence in found.sentences}
    assert "5 of 10 runs of mine" in kinds["learned"]
    words = "runs without a finite score count as chance, or as the worst score of the workload where that is worse"
    assert any(words in p.text for p in found.problems)


def test_looked_at_it_is_its_sentences() -> None:
    found = of(scores())
    assert repr(found) == str(found)
    assert "DataFrame" not in repr(found)


def test_in_a_notebook_the_sentences_come_first_then_a_ranking_of_each_workload() -> None:
    found = of(scores())
    html = found._repr_html_()
    places = [html.index(escape(sentence.text)) for sentence in found.sentences]
    assert places == sorted(places)
    assert places[-1] < html.index("<table")
    assert html.startswith(f'<div class="tex2jax_ignore mathjax_ignore"><p><strong>{escape(found.sentences[0].text)}<')
    assert html.count("<table") == 2
    assert ">cifar<" in html
    assert ">mnist<" in html


def test_in_a_notebook_names_reasons_and_commands_are_text() -> None:
    names = {"mine": "<b>&amp;$x$", "theirs": "<script>alert(1)</script>", "old": "old"}
    runs = frame(*(record(names[init], seed, 0.8 + seed / 100) for init in names for seed in range(3)))
    runs["command"] = "python -m initbench -m study='<u>' seed=0,1,2"
    for html in (initbench.verdict(runs)._repr_html_(), of(scores().replace(names))._repr_html_()):
        assert "&lt;b&gt;&amp;amp;$x$" in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
        assert not re.search("<(b|u|script)>", html)


def test_in_a_notebook_problems_are_named() -> None:
    runs = frame(
        *(record(init, seed, 0.8 + seed / 100) for init in "ab" for seed in range(6)), record("a", 7, status="failed")
    )
    found = initbench.verdict(runs)
    assert found.problems
    assert all(f"<li>{escape(problem.text)}</li>" in found._repr_html_() for problem in found.problems)


def test_many_workloads_take_no_more_of_a_notebook_than_a_few_tables() -> None:
    found = of(scores(datasets=tuple(f"data{number}" for number in range(9))))
    html = found._repr_html_()
    assert html.count("<table") == 4
    assert "5 more workloads" in html
