"""What a mistake leaves of a run that has a record already."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from programs import FAST, command

from initbench.errors import UserMistake
from initbench.record import life
from initbench.record.life import Life, refuse
from initbench.record.lock import lock
from initbench.record.store import Store, now, read_record
from initbench.record.sweep_id import SWEEP_VARIABLE

MISTAKE = UserMistake("logger.mode=online, but no API key")


def test_an_interrupted_run_that_is_refused_goes_on_when_the_mistake_is_mended(small: Any) -> None:
    """As the same attempt: its checkpoint is of that, and so is its run on wandb."""
    store = Store(small())
    kept = {"attempt": 2, "started_at": "2026-01-01T00:00:00+00:00", "resumed_at": ["2026-01-02T00:00:00+00:00"]}
    store.write("interrupted", **kept, reason="stopped")
    record = refuse(store, MISTAKE)
    assert record == store.read()
    assert record is not None
    assert (record["status"], record["reason"]) == ("refused", str(MISTAKE))
    assert {key: record[key] for key in kept} == kept


def test_a_failed_run_that_is_refused_starts_anew_when_the_mistake_is_mended(small: Any) -> None:
    """Not from the checkpoint of the attempt that failed, and as the next attempt."""
    store = Store(small())
    store.write("failed", attempt=3, traceback="Traceback ...")
    record = refuse(store, MISTAKE)
    assert record is not None
    assert Life(store, record).starts_anew
    assert record["attempt"] == 3


def test_a_run_that_had_no_record_is_refused_with_times_of_its_own_and_never_began(
    small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, "5eed")
    record = refuse(store := Store(small()), MISTAKE)
    assert record == store.read()
    assert record is not None
    assert (record["sweep"], "attempt" in record, "resumed_at" in record) == ("5eed", False, False)
    assert record["started_at"] <= record["finished_at"] <= now()


def test_a_finished_run_is_never_refused(small: Any) -> None:
    store = Store(small())
    store.write("finished", attempt=1)
    assert refuse(store, MISTAKE) == store.read()
    assert (store.read() or {})["status"] == "finished"


@pytest.fixture
def held_elsewhere(small: Any) -> Iterator[Path]:
    """The folder of a run that another process is at, or as good as: a lock is of who has opened its file."""
    folder, taken, over = Store(small()).folder, threading.Event(), threading.Event()

    def hold() -> None:
        with lock(folder):
            taken.set()
            over.wait()

    other = threading.Thread(target=hold)
    other.start()
    taken.wait()
    yield folder
    over.set()
    other.join()


def test_a_run_that_another_process_is_at_is_left_to_it(
    held_elsewhere: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "lock", lambda folder, patience: lock(folder, patience=0.1))
    store = Store(small())
    assert store.folder == held_elsewhere
    store.write("running", attempt=1)
    assert refuse(store, MISTAKE) is None
    assert (store.read() or {})["status"] == "running"


FULL = """
import errno, torch

def save(*args, **keys):
    raise OSError(errno.ENOSPC, "No space left on device")

torch.save = save
"""


def test_a_disk_with_no_room_for_a_checkpoint_ends_the_sweep_and_refuses_no_run(tmp_path: Path) -> None:
    """The records of the runs might still find room, but it is no mistake of theirs."""
    (tmp_path / "sitecustomize.py").write_text(FULL)
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])
    ended = command(tmp_path, "-m", *FAST, "seed=0,1", "checkpoint_seconds=0", "hydra/launcher=basic", PYTHONPATH=path)
    assert ended.returncode in (1, 2)
    assert "checkpoint.ckpt cannot be written: No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    (record,) = tmp_path.glob("runs/main/*/record.json")
    assert (read_record(record.parent) or {})["status"] == "running"  # it continues when there is room
