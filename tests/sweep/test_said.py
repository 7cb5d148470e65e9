"""A sweep of which nothing has changed says at its end what it said, and leaves its page; else it is found out anew."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from initbench.console import terminal, warn
from initbench.record.index import rows_below
from initbench.record.plans import Plan, add_plan
from initbench.record.store import Store
from initbench.sweep import said, summary

PLAN = Plan(("kaiming_normal",), ("workload",), (0, 1), (), None, None)
REPORT = {"margin": None, "reference": None}


@pytest.fixture
def study(small: Any, capsys: pytest.CaptureFixture[str]) -> Path:
    """Two runs with histories and a plan; no warning has been printed."""
    warn.cache_clear()
    for seed in (0, 1):
        store = Store(small(f"seed={seed}"))
        score = 0.5 + seed / 10
        store.write("finished", results={"test/accuracy": score, "val/accuracy": score}, steps=8, total_steps=8)
        store.write_table("history", [{"step": 8, "val/accuracy": score}])
    add_plan(store.folder.parent, PLAN, runs_before=0, sweep="first")
    return store.folder.parent


def run_of(study: Path) -> Path:
    return sorted(path.parent for path in study.glob("*/record.json"))[0]


def edit_record(study: Path) -> None:
    path = run_of(study) / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds_train": 3.0}))


def remove_record(study: Path) -> None:
    (run_of(study) / "record.json").unlink()


def damage_record(study: Path) -> None:
    (run_of(study) / "record.json").write_text("{")


def remove_history(study: Path) -> None:
    (run_of(study) / "history.parquet").unlink()


def rewrite_history(study: Path) -> None:
    path = run_of(study) / "history.parquet"
    os.utime(path, (1, 1))


def add_log(study: Path) -> None:
    (run_of(study) / "log.txt").write_text("a page links to it")


def plan_more(study: Path) -> None:
    add_plan(study, replace(PLAN, seeds=(0, 1, 2)), runs_before=2, sweep="another")


CHANGES = [edit_record, remove_record, damage_record, remove_history, rewrite_history, add_log, plan_more]


def question(study: Path, report: Any = REPORT, width: int = 80) -> str:
    console = terminal()
    console.width = width
    return said.question(study, *rows_below(study), report, console)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_study_is_another_question(study: Path, change: Callable[[Path], None]) -> None:
    before = question(study)
    assert question(study) == before
    change(study)
    assert question(study) != before


def test_another_report_or_terminal_is_another_question(study: Path) -> None:
    asked = {question(study), question(study, width=40), question(study, {"margin": 1.0, "reference": None})}
    asked.add(question(study, {"margin": None, "reference": "zeros"}))
    assert len(asked) == 4


def test_typing_the_same_sweep_again_is_the_same_question(study: Path) -> None:
    before = question(study)
    add_plan(study, PLAN, runs_before=2, sweep="second")
    assert question(study) == before


def test_nothing_is_found_out_twice(
    study: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = study / "report" / "index.html"
    rows = summary.summarize(study, REPORT)
    first, written = capsys.readouterr(), page.stat()
    assert "kaiming_normal" in first.out
    with monkeypatch.context() as nothing_to_do:
        nothing_to_do.delattr(summary, "_conclude")
        assert summary.summarize(study, REPORT) == rows
    assert capsys.readouterr() == first
    assert page.stat() == written

    whole = page.read_bytes()
    page.write_bytes(whole + b"<!-- mine -->")
    summary.summarize(study, REPORT)
    assert capsys.readouterr() == first
    assert page.read_bytes() == whole
    (study / "report" / "plotly.min.js").unlink()
    summary.summarize(study, REPORT)
    assert (study / "report" / "plotly.min.js").exists()

    plan_more(study)
    capsys.readouterr()
    summary.summarize(study, REPORT)
    assert page.read_bytes() != whole


def test_after_a_warning_all_is_found_out_again(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_of(study) / "history.parquet").write_text("no parquet")
    summary.summarize(study, REPORT)
    assert "history.parquet cannot be read" in capsys.readouterr().err
    warn.cache_clear()  # as in another process
    summary.summarize(study, REPORT)
    assert "history.parquet cannot be read" in capsys.readouterr().err
