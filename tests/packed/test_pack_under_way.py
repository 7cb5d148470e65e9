"""Packs that were stopped, that another process is at, or that begin anew: nothing that was done is lost."""

import copy
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from packs import compare, configs, exploding, train_packs

from initbench.packed import files
from initbench.packed import train as packed_run
from initbench.packed.train import train_pack
from initbench.record.lock import lock
from initbench.record.stopping import Stopped, stoppable
from initbench.record.store import Store
from initbench.training.run import run


@contextmanager
def held_elsewhere(folders: Sequence[Path]) -> Iterator[None]:
    """Inside, somebody else trains the runs in these folders."""
    taken, over = threading.Event(), threading.Event()

    def train() -> None:
        with ExitStack() as locks:
            for folder in folders:
                locks.enter_context(lock(folder))
            taken.set()
            over.wait()

    other = threading.Thread(target=train)
    other.start()
    taken.wait()
    try:
        yield
    finally:
        over.set()
        other.join()


def interrupted(runs: list[dict[str, Any]], step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train a pack of these, and press Ctrl-C during this step."""

    class Interrupted(packed_run.Pack):
        steps = 0

        def step(self) -> None:
            super().step()
            self.steps += 1
            if self.steps == step:
                os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patched:
        patched.setattr(packed_run, "Pack", Interrupted)
        with pytest.raises(Stopped), stoppable():
            train_packs(runs, most=64)


def test_a_pack_that_was_stopped_stays_the_pack_that_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more runs around it, too; and what is left of one that ended otherwise is removed."""
    interrupted(configs(tmp_path, "model=mlp"), 5, monkeypatch)
    more = configs(tmp_path, "model=mlp", seeds=3)
    records = train_packs(more, most=64)
    old = [record for record in records.values() if record["seed"] < 2]
    assert [(record["replicas"], len(record["resumed_at"])) for record in old] == [(4, 1)] * 4
    assert [record["replicas"] for record in records.values() if record["seed"] == 2] == [2, 2]
    interrupted(configs(tmp_path / "b", "model=mlp"), 5, monkeypatch)
    one, *others = configs(tmp_path / "b", "model=mlp")
    run(one)
    assert [record["replicas"] for record in train_packs(others, most=64).values()] == [3] * 3
    assert list((tmp_path / "b").glob("*/.packs/*")) == []


TWO_EPOCHS = ["model=mlp", "model.norm=batch", "model.dropout=0.2"]
TWO_EPOCHS += ["data.val_size=4700", "data.crop_padding=2", "trainer.max_steps=30", "diagnostics=schedule"]


@cache
def uninterrupted(folder: Path) -> dict[Path, dict[str, Any]]:
    return train_packs(configs(folder, *TWO_EPOCHS), most=64)


@pytest.mark.parametrize("step", [1, 4, 7, 23, 30])
def test_a_pack_that_was_stopped_goes_on_bit_for_bit(
    step: int, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first epoch and in the second, between rows and at one, and after the last step."""
    whole = copy.deepcopy(uninterrupted(tmp_path_factory.getbasetemp() / "uninterrupted"))
    interrupted(configs(tmp_path / "parts", *TWO_EPOCHS), step, monkeypatch)
    stopped = [json.loads(file.read_text()) for file in (tmp_path / "parts").glob("*/*/record.json")]
    assert [(record["status"], record["reason"]) for record in stopped] == [("interrupted", "stopped")] * 4
    for log in (tmp_path / "parts").glob("*/*/log.txt"):
        assert [line.split(" ", 2)[2] for line in log.read_text().splitlines()] == [
            "attempt 1 begins, as one of 4 replicas",
            "interrupted",
        ]
    parts = train_packs(configs(tmp_path / "parts", *TWO_EPOCHS), most=64)
    for one, other in zip(whole.items(), parts.items(), strict=True):
        assert other[1]["attempt"] == 1
        assert len(other[1].pop("resumed_at")) == 1
        del one[1]["resumed_at"]
        compare(other[1], one[1], (other[0], one[0]), within=0)
    assert list(tmp_path.glob("*/*/.packs/*")) == []


def test_a_replica_that_left_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = ["trainer.precision=32-true", "model=mlp", "optimizer=sgd"]
    both = [*configs(tmp_path, *wild), *exploding(tmp_path, *wild)]
    interrupted(both, 5, monkeypatch)
    records = train_packs(both, most=64)
    assert sorted(record["status"] for record in records.values()) == ["diverged"] + ["finished"] * 4


def test_forced_runs_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(configs(tmp_path, "model=mlp"), 5, monkeypatch)
    forced = configs(tmp_path, "model=mlp", "force=true")
    Store(forced[0]).checkpoint.touch()  # of an attempt by itself, which nothing may go on from any more
    records = train_packs(forced, most=64)
    assert [(record["attempt"], record["resumed_at"]) for record in records.values()] == [(2, [])] * 4
    assert list(tmp_path.rglob("*.ckpt")) == []


def test_a_run_that_another_process_is_about_to_leave_is_waited_for(tmp_path: Path) -> None:
    """As are all of a sweep that was killed, whose workers save what they have."""
    runs = configs(tmp_path, "model=mlp")
    held = threading.Event()

    def leave() -> None:
        with lock(Store(runs[2]).folder):
            held.set()
            time.sleep(1)

    other = threading.Thread(target=leave)
    other.start()
    held.wait()
    records = train_packs(runs, most=64)
    other.join()
    assert [record["replicas"] for record in records.values()] == [4] * 4


def stopped(runs: list[dict[str, Any]]) -> Path:
    """As a sweep leaves a pack that it had decided and was stopped in; its checkpoint."""
    folders = [Store(config).folder for config in runs]
    files.write(folders, slots=1)
    files.checkpoint_of(folders).touch()
    return files.checkpoint_of(folders)


def test_a_mistake_costs_no_checkpoint(tmp_path: Path) -> None:
    """When it is mended, the pack goes on."""
    runs = configs(tmp_path, "model=mlp", "logger=csv", "+logger.colour=red")
    checkpoint = stopped(runs)
    outcome = train_pack(runs)
    assert len(outcome.alone) == 4
    assert checkpoint.exists()


def test_what_another_sweep_is_at_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_run, "PATIENCE_SECONDS", 0.1)
    runs = configs(tmp_path, "model=mlp")
    checkpoint = stopped(runs)
    with held_elsewhere([Store(config).folder for config in runs]):
        outcome = train_pack(runs)
    assert (outcome.records, outcome.alone) == ({}, {})
    assert checkpoint.exists()
    assert checkpoint.with_suffix(".json").exists()


def test_a_pack_of_which_another_process_is_at_one_run_stays_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is at that run may have begun the whole pack."""
    monkeypatch.setattr(packed_run, "PATIENCE_SECONDS", 0.1)
    runs = configs(tmp_path, "model=mlp")
    folders = [Store(config).folder for config in runs]
    files.write(folders, slots=1)
    with held_elsewhere(folders[1:2]):
        outcome = train_pack(runs)
    assert set(outcome.records) == {folder.name for folder in folders} - {folders[1].name}
    assert files.is_written(folders)
    files.clear(folders[0].parent)
    assert not files.is_written(folders)


@pytest.mark.parametrize("seconds, saves", [("3600", 0), ("0", 8)])
def test_a_pack_is_saved_when_that_is_due(
    seconds: str, saves: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every so many seconds; with 0 after each of its eight steps, as saving costs nothing on this clock."""
    now, saved = 0.0, 0
    replace = Path.replace

    def counting(self: Path, target: Path) -> Path:
        nonlocal saved
        saved += Path(target).suffix == ".ckpt"
        return replace(self, target)

    class Ticking(packed_run.Pack):
        def step(self) -> None:
            nonlocal now
            now += 1
            super().step()

    monkeypatch.setattr(packed_run, "Pack", Ticking)
    monkeypatch.setattr(Path, "replace", counting)
    monkeypatch.setattr("time.monotonic", lambda: now)
    train_packs(configs(tmp_path, "model=mlp", f"checkpoint_seconds={seconds}", seeds=1), most=64)
    assert saved == saves
