"""What a record says at each turn of a run's life, whoever trains it."""

import json
import logging
import pickle
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from initbench import logger
from initbench.errors import Unwritable, UserMistake
from initbench.metric import ACCURACY
from initbench.record.history import History
from initbench.record.life import Life, claimed, mark_dead, mark_lost, under_way
from initbench.record.stopping import Stopped
from initbench.record.store import Store
from initbench.record.sweep_id import SWEEP_VARIABLE

OF_THE_END: dict[str, Any] = {
    "test": {"loss": 0.5, "accuracy": 0.9},
    "targets": [0.8],
    "metric": ACCURACY,
    "chance_loss": 2.3,
}


@pytest.fixture
def lives(small: Any) -> Iterator[list[Life]]:
    """Two runs that this process holds."""
    with claimed(Store(small("seed=0"))) as one, claimed(Store(small("seed=1"))) as other:
        assert one is not None
        assert other is not None
        yield [one, other]


def record(life: Life) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((life.store.folder / "record.json").read_text())
    return found


def test_a_run_begins_continues_and_ends(lives: list[Life], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, "5eed")
    (life, _) = lives
    with under_way([life]):
        life.begin(8, ACCURACY, resumes=False, replicas=2)
        begun = record(life)
    assert (begun["status"], begun["attempt"], begun["sweep"], begun["replicas"]) == ("running", 1, "5eed", 2)
    later = Life(life.store, begun)
    later.begin(8, ACCURACY, resumes=True)
    continued = record(life)
    assert (continued["attempt"], continued["started_at"]) == (1, begun["started_at"])
    assert len(continued["resumed_at"]) == 1
    history = History(life.store)
    history.add_validation(0, 0, {"loss": 2.3, "accuracy": 0.1})
    history.add_validation(8, 1, {"loss": 0.5, "accuracy": 0.85})
    returned = later.end(history, {"device": "cpu"}, **OF_THE_END, seconds_init=0.5)
    ended = record(life)
    assert ended == returned
    assert (ended["status"], ended["reason"], ended["steps"], ended["device"]) == ("finished", None, 8, "cpu")
    assert ended["results"]["test/accuracy"] == 0.9
    assert ended["targets"]["0.8"]["reached"]
    log = life.log.read_text()
    assert re.findall(r"attempt .*", log) == ["attempt 1 begins, as one of 2 replicas", "attempt 1 continues"]


def test_a_run_whose_history_diverged_ends_so(lives: list[Life]) -> None:
    (life, _) = lives
    life.begin(8, ACCURACY, resumes=False)
    history = History(life.store)
    history.add_training(2, 0, {"loss": float("nan"), "accuracy": 0.1}, lr=0.1, grad_norm=None, scaled=False)
    life.end(history, {}, **{**OF_THE_END, "test": {}}, seconds_init=0.0)
    assert (record(life)["status"], record(life)["reason"]) == ("diverged", "training loss nan by step 2")


@pytest.mark.parametrize(
    "error, status, reason, logged",
    [
        (Stopped(15), "interrupted", "stopped", "interrupted"),
        (UserMistake("no such thing"), "refused", "no such thing", ""),
        (KeyError("a"), "failed", "KeyError: 'a'", "KeyError: 'a'"),
        (SystemExit(3), "failed", "SystemExit: 3", "SystemExit: 3"),
        (Unwritable("full"), "running", None, "full"),
    ],
)
def test_what_ends_runs_early_is_in_the_record_and_the_log_of_each(
    error: BaseException, status: str, reason: str | None, logged: str, lives: list[Life]
) -> None:
    """As those of a pack end together."""
    with pytest.raises(type(error)), under_way(lives):
        for life in lives:
            life.begin(8, ACCURACY, resumes=False)
        raise error
    for life in lives:
        assert (record(life)["status"], record(life).get("reason")) == (status, reason)
        assert ("traceback" in record(life)) == (status == "failed")
        assert logged in life.log.read_text()


def test_a_run_that_has_ended_is_not_touched_by_what_ends_the_others(lives: list[Life]) -> None:
    one = lives[0]
    with pytest.raises(KeyError), under_way(lives):
        for life in lives:
            life.begin(8, ACCURACY, resumes=False)
        one.end(History(one.store), {}, **OF_THE_END, seconds_init=0.0)
        raise KeyError
    assert [record(life)["status"] for life in lives] == ["finished", "failed"]


def test_what_libraries_say_is_in_every_log(lives: list[Life]) -> None:
    with warnings.catch_warnings(record=True), under_way(lives):
        warnings.simplefilter("always")
        logging.getLogger("a.library").warning("from a library")
        warnings.warn("a warning", UserWarning, stacklevel=1)
    for life in lives:
        assert "from a library" in life.log.read_text()
        assert "UserWarning: a warning" in life.log.read_text()


def test_an_attempt_that_failed_starts_anew_and_one_that_was_stopped_does_not(small: Any) -> None:
    store = Store(small())
    assert not Life(store, {"status": "interrupted"}).starts_anew
    assert Life(store, {}).starts_anew  # its record is gone
    assert Life(store, {"status": "failed", "traceback": "..."}).starts_anew
    assert Life(Store(small("force=true")), {}).starts_anew


@pytest.mark.parametrize("before, after", [(None, "failed"), ("refused", "failed"), ("interrupted", "interrupted")])
def test_a_lost_run_is_marked_unless_it_has_a_record_of_its_own(before: str | None, after: str, small: Any) -> None:
    store = Store(small())
    if before is not None:
        store.write(before, attempt=1)
    mark_lost(store, "lost with its node")
    found = store.read()
    assert found is not None
    assert found["status"] == after


def test_only_a_running_record_whose_lock_is_free_is_marked(small: Any) -> None:
    dead, alive = Store(small("seed=0")), Store(small("seed=1"))
    for store in (dead, alive):
        store.write("running", attempt=1)
    with claimed(alive):
        mark_dead(dead.folder.parent)
    assert [(store.read() or {})["status"] for store in (dead, alive)] == ["failed", "running"]


def test_of_a_sweep_that_was_stopped_what_had_to_be_killed_is_interrupted(small: Any) -> None:
    ours, another, alone = (Store(small(f"seed={seed}")) for seed in range(3))
    for store, sweep in ((ours, "5eed"), (another, "beef"), (alone, None)):
        store.write("running", sweep=sweep, attempt=1, started_at="2026-01-01T00:00:00+00:00")
    mark_dead(ours.folder.parent, stopped="5eed")
    found = [(store.read() or {}) for store in (ours, another, alone)]
    assert [record["status"] for record in found] == ["interrupted", "running", "running"]
    assert found[0]["reason"] == "stopped"


def test_ctrl_c_in_a_program_of_ones_own_is_an_interruption(lives: list[Life]) -> None:
    """Where nobody handles signals, as in a notebook, Python raises KeyboardInterrupt."""
    with pytest.raises(KeyboardInterrupt), under_way(lives):
        for life in lives:
            life.begin(8, ACCURACY, resumes=False)
        raise KeyboardInterrupt
    assert [record(life)["status"] for life in lives] == ["interrupted"] * 2
    assert "traceback" not in record(lives[0])  # so that it goes on from its checkpoint


def test_a_life_can_be_sent_to_another_process(lives: list[Life]) -> None:
    lives[0].begin(8, ACCURACY, resumes=False)
    sent: Life = pickle.loads(pickle.dumps(lives[0]))
    assert (sent.started, sent.store.folder) == (lives[0].started, lives[0].store.folder)


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
