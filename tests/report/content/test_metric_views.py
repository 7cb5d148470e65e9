"""Scores as the views of a plot, in the unit and the direction of their metric."""

import pandas as pd
import pytest

from initbench.metric import ACCURACY, Metric
from initbench.report.content.metric_views import metric_views, view_keys

LOSS = Metric("loss", "test loss", higher_is_better=False, unit="nats", perfect=0.5, chance=4.0)


def test_a_share_is_seen_as_itself_and_as_its_distance_from_perfect() -> None:
    found = dict(metric_views(0.8, 0.7, 0.85, ACCURACY, ["accuracy", "error"]))
    assert found["accuracy"] == (0.8, 0.7, 0.85)
    assert found["error"] == pytest.approx((0.2, 0.15, 0.3))


def test_a_loss_is_seen_as_itself_with_its_lower_end_first() -> None:
    """Scores of a loss are its negatives."""
    ((key, curves),) = metric_views(-2.0, -3.0, -1.0, LOSS, ["loss"])
    assert (key, curves) == ("loss", (2.0, 1.0, 3.0))


def test_columns_are_seen_as_numbers_are() -> None:
    middle, low, high = pd.Series([-2.0, -1.0]), pd.Series([-3.0, -1.5]), pd.Series([-1.0, -0.5])
    ((_, curves),) = metric_views(middle, low, high, LOSS, ["loss"])
    assert [curve.tolist() for curve in curves] == [[2.0, 1.0], [1.0, 0.5], [3.0, 1.5]]


@pytest.mark.parametrize("best, first", [(0.99, "error"), (1.0, "value")])
def test_the_error_comes_first_unless_a_log_axis_could_not_show_it(best: float, first: str) -> None:
    keys = view_keys(pd.Series([0.5, best]), ACCURACY, "value", "error")
    assert keys[0] == first
    assert sorted(keys) == ["error", "value"]


def test_what_is_no_share_has_no_error() -> None:
    assert view_keys(pd.Series([-2.0]), LOSS, "value", "error") == ["value"]
