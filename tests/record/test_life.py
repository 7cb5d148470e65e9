"""What a record says at each turn of a run's life, whoever trains it."""

import logging
import os
import pickle
import re
import signal
import warnings
from dataclasses import asdict
from typing import Any

import pandas as pd
import pytest
import torch
from lives import record

from initbench.errors import Unwritable, UserMistake
from initbench.metric import ACCURACY
from initbench.record import untold
from initbench.record.history import History
from initbench.record.life import Life, _reason, claimed, under_way
from initbench.record.stopping import Stopped, stoppable
from initbench.record.store import Store, now
from initbench.record.sweep_id import SWEEP_VARIABLE

OF_THE_END: dict[str, Any] = {
    "test": {"loss": 0.5, "accuracy": 0.9},
    "targets": [0.8],
    "metric": ACCURACY,
    "chance_loss": 2.3,
}


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


@pytest.mark.parametrize("status", ["finished", "diverged", "failed", "interrupted", "refused", "running", None])
def test_only_what_ended_by_itself_is_complete_and_nothing_where_it_is_forced(status: str | None, small: Any) -> None:
    before = {} if status is None else {"status": status}
    assert Life(Store(small()), before).is_complete is (status in ("finished", "diverged"))
    assert not Life(Store(small("force=true")), before).is_complete


def test_a_further_attempt_begins_anew_and_one_that_goes_on_keeps_its_start(lives: list[Life]) -> None:
    (life, _) = lives
    (life.store.folder).mkdir(parents=True)
    layers = life.store.folder / "layers.parquet"
    before = {"attempt": 2, "started_at": "2026-01-01T00:00:00+00:00", "resumed_at": ["2026-01-02T00:00:00+00:00"]}
    untold.mark(life.store.folder)
    layers.touch()
    goes_on = Life(life.store, before)
    goes_on.begin(8, ACCURACY, resumes=True)
    assert not untold.is_marked(life.store.folder)
    assert layers.exists()
    found = record(life)
    assert (found["attempt"], found["started_at"], found["sweep"]) == (2, before["started_at"], None)
    assert found["resumed_at"][:-1] == before["resumed_at"]
    assert before["started_at"] < found["resumed_at"][-1] <= now()
    assert (found["replicas"], found["total_steps"], found["metric"]) == (1, 8, asdict(ACCURACY))
    assert found["provenance"]["pid"] == os.getpid()
    anew = Life(life.store, {**before, "status": "failed", "traceback": "..."})
    anew.begin(None, ACCURACY, resumes=False)
    assert not layers.exists()
    found = record(life)
    assert (found["attempt"], found["resumed_at"], found["total_steps"]) == (3, [], None)
    assert before["started_at"] < found["started_at"] <= now()
    anew.expect(12)
    assert record(life) == {**found, "total_steps": 12, "provenance": record(life)["provenance"]}
    assert re.findall(r"attempt .*", life.log.read_text()) == ["attempt 2 continues", "attempt 3 begins"]
    continues = Life(life.store, {})
    continues.begin(8, ACCURACY, resumes=True)
    assert record(life)["started_at"] <= now()


def test_what_was_measured_is_on_disk_when_a_run_has_ended(lives: list[Life]) -> None:
    (life, _) = lives
    life.begin(8, ACCURACY, resumes=False)
    history = History(life.store)
    history.add_validation(8, 1, {"loss": 0.5, "accuracy": 0.85})
    found = life.end(history, {"seconds_diagnostics": 3.0, "device": "cpu"}, **OF_THE_END, seconds_init=0.5)
    assert pd.read_parquet(life.store.folder / "history.parquet")["step"].tolist() == [8]
    assert (found["seconds_diagnostics"], found["device"], found["attempt"]) == (3.0, "cpu", 1)
    assert found["started_at"] <= found["finished_at"] <= now()
    assert found["provenance"]["pid"] == os.getpid()
    assert life.has_ended


def test_a_run_that_has_not_begun_has_no_record_of_what_ends_the_others(lives: list[Life]) -> None:
    begun, waiting = lives
    with pytest.raises(KeyError), under_way(lives):
        begun.begin(8, ACCURACY, resumes=False)
        raise KeyError
    assert record(begun)["status"] == "failed"
    assert waiting.store.read() is None


def test_whatever_is_raised_after_a_signal_is_an_interruption_by_it(lives: list[Life]) -> None:
    """As Lightning has an exception of its own for SIGTERM."""
    with pytest.raises(Stopped, match="SIGTERM"), stoppable(), under_way(lives):
        for life in lives:
            life.begin(8, ACCURACY, resumes=False)
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError("of Lightning")
    for life in lives:
        assert (record(life)["status"], record(life)["reason"]) == ("interrupted", "stopped")
        assert "traceback" not in record(life)


def test_a_device_without_memory_is_a_reason_with_advice() -> None:
    assert _reason(ValueError("no")) == "ValueError: no"
    assert _reason(torch.OutOfMemoryError("no")).startswith("OutOfMemoryError: no Try trainer.on_oom=halve, a smaller ")


def test_nobody_claims_a_run_twice_and_what_is_found_is_its_record(small: Any) -> None:
    store = Store(small())
    store.write("interrupted", attempt=4)
    with claimed(store) as life, claimed(store, patience=0.0) as other:
        assert life is not None
        assert life.before == store.read()
        assert life.started == {}
        assert other is None
