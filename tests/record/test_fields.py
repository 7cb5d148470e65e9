"""What the record of a run that has ended is made of."""

import math
from typing import Any

import pytest

from initbench.metric import ACCURACY, Metric
from initbench.record.fields import fields
from initbench.record.history import History
from initbench.record.metric import check_metric


def ended(*losses: float, **keys: Any) -> dict[str, Any]:
    """Of a run that trained to step 8 and was evaluated at steps 0, 4 and 8 with these losses."""
    history = History(None)
    for step, loss in zip((0, 4, 8), losses, strict=False):
        history.seconds = step / 2
        history.add_validation(step, 0, {"loss": loss, "accuracy": 1 - loss / 2})
    history.add_training(10, 0, {"loss": 0.3, "accuracy": 0.9}, 0.1, None, scaled=False)
    history.seconds, history.seconds_evaluation, history.seconds_compile = 6.0, 2.0, 3.0
    usual: dict[str, Any] = {"metric": ACCURACY, "chance_loss": 2.3, "test": {"loss": 0.5, "accuracy": 0.7}}
    return fields(history, **{**usual, "targets": [0.7, 0.95], "seconds_init": 1.5, **keys})


def test_results_times_and_durations() -> None:
    found = ended(1.0, 0.4, 0.6)
    assert found["results"] == {
        "chance_loss": 2.3,
        "val/best_accuracy": 0.8,
        "val/accuracy": 0.7,
        "val/loss": 0.6,
        "val/accuracy_auc": pytest.approx((0.65 + 0.75) / 2),
        "val/loss_at_start": 1.0,
        "train/loss": 0.3,
        "train/accuracy": 0.9,
        "test/loss": 0.5,
        "test/accuracy": 0.7,
    }
    assert found["targets"] == {
        "0.7": {"reached": True, "steps": 4, "seconds": 3.5, "reason": None},
        "0.95": {"reached": False, "steps": 8, "seconds": 5.5, "reason": "budget"},
    }
    durations = {"seconds_init": 1.5, "seconds_train": 6.0, "seconds_evaluation": 2.0, "seconds_compile": 3.0}
    assert {key: found[key] for key in durations} == durations
    assert (found["steps"], found["reason"], found["seconds_diagnostics"]) == (10, None, 0.0)
    assert found["diagnostics"] == {"steps": [], "missing": {}}


def test_of_a_run_that_diverged_a_target_was_missed_because_it_did() -> None:
    found = ended(1.0, 0.4, math.nan, test={})
    assert found["reason"] == "validation loss nan at step 8"
    assert found["targets"]["0.95"] == {"reached": False, "steps": 4, "seconds": 3.5, "reason": "diverged"}
    assert not any(key.startswith("test/") for key in found["results"])


def test_a_run_that_measured_nothing_took_no_step_and_has_no_results() -> None:
    history = History(None)
    found = fields(history, metric=ACCURACY, chance_loss=None, test={}, targets=[], seconds_init=0.5)
    assert found["steps"] == 0
    assert found["results"] == {"chance_loss": None, "train/loss": None, "train/accuracy": None}


def good(**parts: Any) -> dict[str, Any]:
    return {**vars(Metric("mse", "test MSE", higher_is_better=False, perfect=0.0)), **parts}


@pytest.mark.parametrize("chance", [None, 1, 0.5])
def test_a_metric_of_a_record_is_one(chance: Any) -> None:
    check_metric(good(chance=chance))


@pytest.mark.parametrize(
    "parts, words",
    [
        *[({key: 3}, f"metric.{key} is 3") for key in ("name", "label", "unit", "higher_is_better", "is_share")],
        *[
            ({key: odd}, f"metric.{key} is ")
            for key in ("chance", "perfect")
            for odd in ("0", True, math.inf, math.nan)
        ],
        ({"more": 1}, "metric has the keys name, label, .*more"),
    ],
)
def test_what_is_no_metric_is_named(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_metric(good(**parts))
    short = good()
    del short["chance"]
    with pytest.raises(ValueError, match="metric has the keys"):
        check_metric(short)
