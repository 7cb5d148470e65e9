"""The number that a sweeper may optimize, and the worst one for a run that has none."""

import math
from dataclasses import asdict
from typing import Any

import pytest

from initbench.metric import ACCURACY, Metric
from initbench.record.objective import objective


def record(status: str, reached: bool = True) -> dict[str, Any]:
    return {
        "status": status,
        "metric": asdict(ACCURACY),
        "results": {"val/best_accuracy": 0.8, "test/loss": 0.5},
        "targets": {"0.9": {"reached": reached, "steps": 40, "seconds": 3.0}},
    }


@pytest.mark.parametrize("name, value", [("val/best_accuracy", 0.8), ("test/loss", 0.5), ("steps_to_0.9", 40.0)])
def test_of_a_run_that_finished_it_is_what_the_record_has(name: str, value: float) -> None:
    assert objective(record("finished"), name) == value


@pytest.mark.parametrize("name", ["test/loss", "train/loss", "steps_to_0.9", "seconds_to_0.9"])
def test_where_less_is_better_the_worst_is_infinite(name: str) -> None:
    """A run that diverged has the worst, whatever it had reached before; so has one that never reached the target."""
    assert objective(record("diverged"), name) == math.inf
    if "_to_" in name:
        assert objective(record("finished", reached=False), name) == math.inf


def test_the_worst_accuracy_is_0() -> None:
    assert objective(record("diverged"), "val/best_accuracy") == 0.0
    assert objective(record("finished"), "test/accuracy") == 0.0


@pytest.mark.parametrize("status", ["running", "failed", "refused", "interrupted"])
def test_a_run_that_did_not_end_has_none(status: str) -> None:
    assert objective(record(status), "test/loss") is None
    assert objective({}, "test/loss") is None


def test_without_another_wish_it_is_the_best_value_in_validation() -> None:
    assert objective(record("finished"), None) == 0.8
    assert objective(record("diverged"), None) == 0.0
    of_loss = {**record("diverged"), "metric": asdict(Metric("loss", "test loss", higher_is_better=False))}
    assert objective(of_loss, None) == math.inf
