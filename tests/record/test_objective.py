"""The number that a sweeper may optimize, and the worst one for a run that has none."""

import math
from contextlib import nullcontext
from dataclasses import asdict
from enum import Enum
from typing import Any

import pytest
from configs import typed

from initbench.errors import UserMistake
from initbench.metric import ACCURACY, Metric
from initbench.record.objective import _is_maximized, check_objective, objective


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


def test_a_run_that_diverged_has_the_worst_of_what_was_asked_for_even_if_the_record_has_a_number() -> None:
    of_loss = {**record("diverged"), "metric": asdict(Metric("mse", "test MSE", higher_is_better=False))}
    for name in ("val/best_mse", "val/mse_auc", "test/loss", "seconds_to_0.9"):
        assert objective(of_loss, name) == math.inf
    for name in ("val/accuracy", "val/accuracy_auc", "test/accuracy", "val/best_accuracy"):
        assert objective(record("diverged"), name) == 0.0


def test_without_a_metric_there_is_no_objective() -> None:
    bare = {**record("finished"), "results": {}}
    del bare["metric"]
    assert objective(bare, "test/loss") is None


@pytest.mark.parametrize(
    "name, expected",
    [
        ("val/best_accuracy", True),
        ("val/accuracy_auc", True),
        ("test/accuracy", True),
        ("train/accuracy", True),
        ("test/loss", False),
        ("steps_to_0.9", False),
    ],
)
def test_only_values_of_a_metric_of_which_more_is_better_are_maximized(name: str, expected: bool) -> None:
    assert _is_maximized(name, ACCURACY) is expected
    assert not _is_maximized(name.replace("accuracy", "mse"), Metric("mse", "test MSE", higher_is_better=False))


class Direction(Enum):
    MAXIMIZE = "maximize"


Direction.MAXIMIZE._name_ = "maximize"


@pytest.mark.parametrize(
    "asked, direction, said",
    [
        (None, None, ""),
        (None, "maximize", ""),
        (None, Direction.MAXIMIZE, ""),
        (None, "minimize", "a good val/best_accuracy is not what this sweep looks for: .*direction=maximize"),
        ("test/loss", "minimize", ""),
        ("test/loss", None, ""),
        ("test/loss", "maximize", "a good test/loss is not what this sweep looks for: .*direction=minimize"),
        ("val/loss", None, ""),
        ("train/accuracy", "maximize", ""),
        ("steps_to_0.9", "minimize", ""),
        ("seconds_to_0.9", "minimize", ""),
        ("steps_to_0.77", "minimize", "unknown objective 'steps_to_0.77'"),
        ("val/best_acuracy", None, "unknown objective 'val/best_acuracy'. Did you mean 'val/best_accuracy'"),
    ],
)
def test_what_records_will_hold_may_be_optimized_in_the_right_direction(
    asked: str | None, direction: Any, said: str, small: Any
) -> None:
    config = typed({**small(), "objective": asked})
    with pytest.raises(UserMistake, match=said) if said else nullcontext():
        check_objective(config, direction)


def test_targets_of_the_task_are_those_that_records_will_hold(small: Any) -> None:
    config = small()
    own = {**config, "task": {**config["task"], "targets": [0.77]}, "objective": "steps_to_0.77"}
    check_objective(typed(own), "minimize")
    with pytest.raises(UserMistake, match=r"unknown objective 'steps_to_0\.9'"):
        check_objective(typed({**own, "objective": "steps_to_0.9"}), None)
