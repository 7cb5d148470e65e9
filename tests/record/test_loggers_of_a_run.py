"""What the loggers of a run are told, and that nobody is told a secret."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from initbench import logger, masking
from initbench.errors import UserMistake
from initbench.metric import ACCURACY
from initbench.record.life import Life, log_summary, mark_lost, refuse, under_way
from initbench.record.store import Store


def test_loggers_are_open_inside_and_closed_whatever_happens(lives: list[Life], tmp_path: Path) -> None:
    life = lives[0]
    life.begin(8, ACCURACY, resumes=False)
    closed: list[str] = []

    class Telling:
        def finalize(self, status: str) -> None:
            closed.append(status)

    def opening(run: logger.RunInfo) -> list[Any]:
        assert (run.attempt, run.resumed, run.folder) == (1, False, life.store.folder)
        return [Telling()]

    with life.logged(opening, resumes=False):
        assert closed == []
    with pytest.raises(KeyError), life.logged(opening, resumes=False):
        raise KeyError
    assert closed == ["success", "failed"]


def test_no_secret_of_a_message_is_written(lives: list[Life], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masking, "_seen", set())
    one, other = lives
    one.store.config["logger"] = {"api_key": "abcdef0815"}
    with pytest.raises(KeyError), under_way(lives):
        for life in lives:
            life.begin(8, ACCURACY, resumes=False)
        raise KeyError("password=hunter2222, not abcdef0815")
    for life in lives:
        text = (life.store.folder / "record.json").read_text() + life.log.read_text()
        assert "hunter2222" not in text
        assert "abcdef0815" not in text
        assert life.has_ended
    refused = refuse(Store({**other.store.config, "seed": 7}), UserMistake("api_key=abcdef0817 is none"))
    assert refused is not None
    assert refused["reason"] == "api_key=*** is none"
    mark_lost(Store({**other.store.config, "seed": 8}), "api_key=abcdef0816 was lost")
    assert (Store({**other.store.config, "seed": 8}).read() or {})["reason"] == "api_key=*** was lost"


def test_a_secret_of_a_config_that_is_refused_is_none_in_the_reason(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_seen", set())
    found = refuse(Store({**small(), "logger": {"api_key": "abcdef4713"}}), UserMistake("no abcdef4713"))
    assert found is not None
    assert found["reason"] == "no ***"


def test_a_secret_of_a_config_is_none_in_the_log_of_a_run_that_is_trained(
    lives: list[Life], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_seen", set())
    lives[1].store.config["logger"] = {"api_key": "abcdef4714"}
    with under_way(lives):
        logging.getLogger("a.library").warning("not abcdef4714")
    for life in lives:
        assert "not ***" in life.log.read_text()


def test_loggers_are_told_what_became_of_the_run_and_its_numbers() -> None:
    told: list[dict[str, Any]] = []

    class Telling:
        def summarize(self, metrics: dict[str, Any]) -> None:
            told.append(metrics)

    of_end = {"status": "finished", "reason": None, "total_steps": 8, "metric": asdict(ACCURACY)}
    log_summary([Telling()], {**of_end, "more": 1, "results": {"test/loss": 0.5}, "steps": 7})  # type: ignore[list-item]  # all that is called
    (found,) = told
    assert {key: found[key] for key in (*of_end, "test/loss", "steps")} == {**of_end, "test/loss": 0.5, "steps": 7}
    assert "more" not in found


def test_loggers_of_a_run_that_goes_on_are_told_so_and_no_secret(lives: list[Life]) -> None:
    life = Life(lives[0].store, {"attempt": 3})
    life.store.config["logger"] = {**life.store.config["logger"], "api_key": "abcdef4712"}
    life.begin(8, ACCURACY, resumes=True)
    seen: list[logger.RunInfo] = []
    with life.logged(lambda run: seen.append(run) or [], resumes=True):  # type: ignore[func-returns-value]  # None, so []
        pass
    (run,) = seen
    assert (run.attempt, run.resumed) == (3, True)
    assert run.config["logger"]["api_key"] == "***"


def test_loggers_of_a_further_attempt_are_told_its_number(lives: list[Life]) -> None:
    life = Life(lives[0].store, {"attempt": 2})
    life.begin(8, ACCURACY, resumes=False)
    seen: list[logger.RunInfo] = []
    with life.logged(lambda run: seen.append(run) or [], resumes=False):  # type: ignore[func-returns-value]  # None, so []
        pass
    assert (seen[0].attempt, seen[0].resumed) == (3, False)
