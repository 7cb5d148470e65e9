"""What is recorded of runs whose process died or was killed."""

from pathlib import Path
from typing import Any

import pytest

from initbench.record.life import claimed, mark_dead, mark_lost
from initbench.record.lock import is_held
from initbench.record.store import Store, now, read_record, write_record
from initbench.record.sweep_id import SWEEP_VARIABLE


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


@pytest.mark.parametrize("before", [None, "failed", "refused", "finished", "diverged", "interrupted", "running"])
def test_a_run_is_lost_unless_its_record_says_what_became_of_it(
    before: str | None, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, "5eed")
    store = Store(small())
    if before is not None:
        store.write(before, attempt=1, reason="of before")
    mark_lost(store, "lost with its node")
    found = store.read()
    assert found is not None
    if before in (None, "failed", "refused"):
        assert (found["status"], found["reason"], found["sweep"]) == ("failed", "lost with its node", "5eed")
        assert found["started_at"] <= found["finished_at"] <= now()
    else:
        assert (found["status"], found["reason"]) == (before, "of before")


def test_a_lost_run_of_a_newer_initbench_is_left_alone(small: Any) -> None:
    store = Store(small())
    store.folder.mkdir(parents=True)
    (store.folder / "record.json").write_text('{"schema": 2}')
    mark_lost(store, "lost with its node")
    assert (store.folder / "record.json").read_text() == '{"schema": 2}'


@pytest.mark.parametrize("stopped", [None, "5eed"])
def test_what_is_marked_as_dead_keeps_what_its_record_said(stopped: str | None, small: Any) -> None:
    store, done = Store(small("seed=0")), Store(small("seed=1"))
    begun = store.write("running", attempt=2, sweep="5eed", started_at="2026-01-01T00:00:00+00:00", replicas=3)
    done.write("finished", attempt=1)
    of_done = (done.folder / "record.json").read_bytes()
    mark_dead(store.folder.parent, stopped)
    found = store.read()
    assert found is not None
    reason = "its process died: it was killed, or the machine had no memory left" if stopped is None else "stopped"
    status = "failed" if stopped is None else "interrupted"
    assert found == {**begun, "status": status, "reason": reason, "finished_at": found["finished_at"]}
    assert begun["started_at"] < found["finished_at"] <= now()
    assert (done.folder / "record.json").read_bytes() == of_done


def test_a_run_that_ends_while_the_dead_are_looked_for_stays_as_it_ended(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(small())
    begun = store.write("running", attempt=1)

    def ends(folder: Path) -> bool:
        write_record(folder, {**begun, "status": "finished"})
        return is_held(folder)

    monkeypatch.setattr("initbench.record.life.is_held", ends)
    mark_dead(store.folder.parent)
    assert (read_record(store.folder) or {})["status"] == "finished"
