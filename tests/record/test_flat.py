"""The columns that a record becomes, value by value."""

import math
from dataclasses import asdict, replace
from typing import Any

import pytest
from records import iso, record

from initbench.metric import ACCURACY
from initbench.record.flat import flat, numbers
from initbench.record.metric import metric_of
from initbench.record.signature import digest, workload

WHOLE: dict[str, Any] = record(
    "zeros",
    7,
    metric=asdict(replace(ACCURACY, chance=0.125)),
    results={"val/best_accuracy": 0.9, "test/accuracy": 0.85, "status": 1.0, "init": 2.0},
    targets={
        "0.5": {"reached": True, "steps": 10, "seconds": 1.5, "reason": None},
        "0.99": {"reached": False, "steps": 100, "seconds": 9.5, "reason": "budget"},
    },
    steps=90,
    seconds_init=0.25,
    seconds_train=8.0,
    seconds_compile=1.25,
    seconds_diagnostics=0.75,
    attempt=3,
    resumed_at=[iso(30), iso(20)],
    reason="out of luck\nat line 3",
    device="NVIDIA H200",
    replicas=4,
    provenance={
        "hostname": "node1",
        "processor": "EPYC",
        "platform": "Linux",
        "versions": {"torch": "2.9", "python": "3.12"},
        "git": {"commit": "abc", "dirty": False},
        "command": "python -m initbench -m seed=0,7",
    },
)
WHOLE["config"] |= {
    "command": "python -m initbench seed=7",
    "source": {"init": "3fa2c1d0e5", "model": "b90e77a412"},
    "seeds": {"weights": 0, "order": None, "augmentation": None, "split": 5},
    "tuning": {"seeds": [100, 101]},
}
WHOLE["config"]["data"]["val_every_n_steps"] = 50


def test_each_column_is_what_its_name_says() -> None:
    assert flat(WHOLE) == {
        "study": "study",
        "init": "zeros",
        "init_source": "3fa2c1d0e5",
        "model": "lenet",
        "data": "mnist",
        "optimizer": "sgd",
        "lr": 0.1,
        "seed": 7,
        "seeds": {"weights": 0, "split": 5},
        "budget": 100,
        "val_every_n_steps": 50,
        "status": "finished",
        "sweep": "5eed",
        "reason": r"out of luck\nat line 3",
        "setting": WHOLE["setting"],
        "workload_id": digest(workload(WHOLE["config"])),
        "workload_config": workload(WHOLE["config"]),
        "signature": WHOLE["signature"],
        "started_at": WHOLE["started_at"],
        "finished_at": WHOLE["finished_at"],
        "resumed": 2,
        "host": "node1",
        "tuning_seeds": [100, 101],
        "metric": replace(ACCURACY, chance=0.125),
        "chance": 0.125,
        "steps_seen": 100,
        "seconds_seen": 9.5,
        "device": "NVIDIA H200",
        "replicas": 4,
        "processor": "EPYC",
        "torch": "2.9",
        "commit": "abc",
        "command": "python -m initbench -m seed=0,7",
        "run_command": "python -m initbench seed=7",
        "name": WHOLE["name"],
        "attempt": 3,
        "resumed_at": iso(20),
        "reason_line": "out of luck",
        "val/best_accuracy": 0.9,
        "test/accuracy": 0.85,
        "steps_to_0.5": 10,
        "seconds_to_0.5": 1.5,
        "steps_to_0.99": None,
        "seconds_to_0.99": None,
        "steps": 90,
        "seconds_init": 0.25,
        "seconds_train": 8.0,
        "seconds_compile": 1.25,
        "seconds_diagnostics": 0.75,
    }


def test_what_a_record_lacks_is_none_or_the_usual() -> None:
    bare = record("zeros", 7, "running", lr=None)
    for key in ("sweep", "attempt", "resumed_at", "started_at", "metric"):
        del bare[key]
    row = flat(bare)
    usual = {"resumed": 0, "replicas": 1, "tuning_seeds": []}
    assert {key: row[key] for key in usual} == usual
    for key in (
        *("sweep", "attempt", "resumed_at", "started_at", "finished_at", "metric", "chance", "lr", "seeds", "budget"),
        *("init_source", "val_every_n_steps", "reason", "reason_line", "steps_seen", "seconds_seen", "commit", "torch"),
        *("host", "processor", "command", "run_command", "device", "steps", "seconds_train"),
    ):
        assert row[key] is None, key


def test_outside_of_a_repository_there_is_no_commit() -> None:
    assert flat(record(provenance={"git": None}))["commit"] is None
    assert flat({**record(), "config": {**record()["config"], "tuning": None}})["tuning_seeds"] == []


def test_of_a_run_that_was_refused_lists_are_words_and_what_is_no_count_is_none() -> None:
    refused = {**record(status="refused", reason=""), "seed": [1, 2]}
    refused["config"] |= {"optimizer": {"name": ["adam"], "lr": {"a": 1}}}
    refused["config"]["model"]["name"] = {"of": "mine"}
    refused["config"]["data"] |= {"name": ["mnist"], "val_every_n_steps": "often"}
    row = flat(refused)
    assert [row[key] for key in ("seed", "lr", "model", "data", "optimizer")] == [
        *("[1, 2]", "{'a': 1}", "{'of': 'mine'}", "['mnist']", "['adam']")
    ]
    assert row["val_every_n_steps"] is None
    assert row["reason_line"] is None


def test_control_characters_of_any_text_are_shown() -> None:
    row = flat(record("ze\x1b[31mros", device="a\u202eb", reason="one\x1b\ntwo"))
    assert (row["init"], row["device"]) == (r"ze\x1b[31mros", r"a\u202eb")
    assert (row["reason"], row["reason_line"]) == (r"one\x1b\ntwo", r"one\x1b")


def test_of_several_targets_that_were_missed_any_tells_for_how_long_it_was_seen() -> None:
    missed = {"reached": False, "steps": 60, "seconds": 4.0}
    reached = {"reached": True, "steps": 20, "seconds": 2.0}
    for targets in ({"0.1": reached, "0.8": missed, "0.9": missed}, {"0.8": missed}):
        row = flat(record(targets=targets))
        assert (row["steps_seen"], row["seconds_seen"]) == (60, 4.0)
    row = flat(record(targets={"0.1": reached}))
    assert (row["steps_seen"], row["seconds_seen"]) == (None, None)


def test_the_numbers_of_a_record_are_not_written_into_it() -> None:
    results = {"test/loss": 0.5}
    found = numbers({"results": results, "targets": {"0.5": {"reached": True, "steps": 4, "seconds": 1.0}}, "steps": 8})
    assert results == {"test/loss": 0.5}
    durations = dict.fromkeys(("seconds_init", "seconds_train", "seconds_compile", "seconds_diagnostics"))
    assert found == {"test/loss": 0.5, "steps_to_0.5": 4, "seconds_to_0.5": 1.0, "steps": 8, **durations}


@pytest.mark.parametrize("classes", [2, 10])
def test_of_a_record_before_tasks_chance_is_one_in_the_number_of_classes(classes: int) -> None:
    old = {"results": {"ln_classes": math.log(classes)}}
    metric = metric_of(old)
    assert metric is not None
    assert metric.name == "accuracy"
    assert metric.chance == pytest.approx(1 / classes)
    assert metric_of({"results": {}}) is metric_of({}) is None
    assert metric_of({**old, "metric": asdict(ACCURACY)}) == ACCURACY
