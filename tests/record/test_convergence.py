"""Convergence measures against hand computations."""

import math
from typing import Any

import pytest

from initbench.metric import ACCURACY, Metric
from initbench.record.convergence import area, convergence, targets_in, time_to_targets


def history(*accuracies: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"step": 10 * i, "seconds": 0.5 * i, "val/accuracy": a, "val/loss": 1 - a} for i, a in enumerate(accuracies)
    ]
    return [*rows, {"step": 99, "seconds": 9.0, "train/loss": 0.1}]


def test_the_loss_at_the_start_is_that_of_step_0_or_unknown() -> None:
    """A history that begins later, as of a run that was resumed without its first rows, has none."""
    assert convergence(history(0.1, 0.9)[1:], ACCURACY)["val/loss_at_start"] is None


def test_best_final_and_start() -> None:
    found = convergence(history(0.1, 0.9, 0.8), ACCURACY)
    assert found["val/best_accuracy"] == 0.9
    assert found["val/accuracy"] == 0.8
    assert found["val/loss"] == pytest.approx(0.2)
    assert found["val/loss_at_start"] == pytest.approx(0.9)
    assert found["val/accuracy_auc"] == pytest.approx((0.5 + 0.85) / 2)


def test_area_is_the_mean_height_of_the_curve() -> None:
    assert area([0, 10, 40], [0.0, 1.0, 1.0]) == pytest.approx((5 + 30) / 40)
    assert area([10], [1.0]) == 1.0
    assert area([20, 40, 60], [1.0, 0.5, 0.5]) == pytest.approx((15 + 10) / 40)


def test_a_target_is_hit_at_the_first_evaluation_that_reaches_it() -> None:
    times = time_to_targets(history(0.1, 0.5, 0.4, 0.6), [0.5], ACCURACY, seconds_init=2.0, reason="budget")
    assert times == {"0.5": {"reached": True, "steps": 10, "seconds": 2.5, "reason": None}}


def test_a_target_never_reached_is_censored_at_the_last_evaluation() -> None:
    times = time_to_targets(history(0.1, 0.5), [0.9], ACCURACY, seconds_init=2.0, reason="diverged")
    assert times == {"0.9": {"reached": False, "steps": 10, "seconds": 2.5, "reason": "diverged"}}


def test_evaluations_that_are_not_finite_do_not_count() -> None:
    rows = [*history(0.1, 0.5), {"step": 20, "seconds": 1.0, "val/accuracy": 0.9, "val/loss": math.nan}]
    assert convergence(rows, ACCURACY)["val/best_accuracy"] == 0.5
    assert not time_to_targets(rows, [0.9], ACCURACY, seconds_init=0, reason="diverged")["0.9"]["reached"]


def test_no_evaluation_is_no_result() -> None:
    assert convergence([], ACCURACY) == {}
    assert time_to_targets([], [0.5], ACCURACY, seconds_init=1.0, reason="diverged")["0.5"]["steps"] == 0


LOSS = Metric("loss", "test loss", higher_is_better=False, unit="nats")


def test_where_less_is_better_the_least_is_the_best_and_a_target_is_reached_from_above() -> None:
    rows = [{"step": step, "seconds": step / 10, "val/loss": loss} for step, loss in [(0, 3.0), (10, 1.0), (20, 2.0)]]
    found = convergence(rows, LOSS)
    assert (found["val/best_loss"], found["val/loss"], found["val/loss_at_start"]) == (1.0, 2.0, 3.0)
    assert found["val/loss_auc"] == pytest.approx((2.0 + 1.5) / 2)
    times = time_to_targets(rows, [1.0, 0.9], LOSS, seconds_init=0.0, reason="budget")
    assert (times["1"]["reached"], times["1"]["steps"]) == (True, 10)
    assert not times["0.9"]["reached"]


def test_a_loop_of_ones_own_may_have_no_loss() -> None:
    rows = [{"step": step, "seconds": 1.0, "val/accuracy": value} for step, value in ((0, 0.1), (4, 0.9), (8, 0.6))]
    found = convergence(rows, ACCURACY)
    assert (found["val/accuracy"], found["val/best_accuracy"]) == (0.6, 0.9)
    assert found["val/loss"] is found["val/loss_at_start"] is None


def test_the_loss_and_the_metric_are_those_of_the_last_evaluation_however_good_earlier_ones_were() -> None:
    rows = [
        {"step": step, "seconds": seconds, "val/accuracy": accuracy, "val/loss": loss}
        for step, seconds, accuracy, loss in ((0, 5.0, 0.1, 3.0), (4, 6.0, 0.9, 0.2), (12, 20.0, 0.6, 0.7))
    ]
    found = convergence(rows, ACCURACY)
    assert (found["val/loss"], found["val/loss_at_start"]) == (0.7, 3.0)
    assert found["val/accuracy_auc"] == pytest.approx((4 * 0.5 + 8 * 0.75) / 12)


def test_a_metric_that_is_not_finite_is_no_evaluation() -> None:
    rows = [*history(0.1, 0.5)[:2], {"step": 20, "seconds": 1.0, "val/accuracy": math.inf, "val/loss": 0.1}]
    assert convergence(rows, ACCURACY)["val/accuracy"] == 0.5


def test_every_target_has_a_time_of_its_own_by_its_shortest_name() -> None:
    times = time_to_targets(history(0.1, 0.5, 0.9), [0.50, 0.9, 1e-1, 2], ACCURACY, seconds_init=0.25, reason="budget")
    assert [(name, time["reached"], time["steps"], time["seconds"]) for name, time in times.items()] == [
        ("0.5", True, 10, 0.75),
        ("0.9", True, 20, 1.25),
        ("0.1", True, 0, 0.25),
        ("2", False, 20, 1.25),
    ]


def test_without_an_evaluation_a_target_is_missed_for_as_long_as_init_took() -> None:
    missed = {"reached": False, "steps": 0, "seconds": 1.5, "reason": "diverged"}
    assert time_to_targets([], [0.5], ACCURACY, seconds_init=1.5, reason="diverged") == {"0.5": missed}


@pytest.mark.parametrize("own, expected", [([0.3], [0.3]), ([], []), (None, [0.8])])
def test_the_targets_of_a_task_stand_in_for_those_of_the_data(own: Any, expected: list[float]) -> None:
    """Also where the task says that there are none."""
    assert targets_in({"task": {"targets": own}, "data": {"targets": [0.8]}}) == expected
    assert targets_in({"data": {"targets": [0.8]}}) == [0.8]
