"""How scores, differences and targets are read, in either direction."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from initbench.metric import ACCURACY, Metric, check_margin, logged_metric, metric_named

LOSS = Metric("val_loss", "val_loss", higher_is_better=False, unit="nats")


def test_shares_are_percentages_and_their_differences_points() -> None:
    assert ACCURACY.cell(0.89094) == "0.8909"
    assert ACCURACY.text(0.89094) == "89.09%"
    assert ACCURACY.difference(0.0285) == "2.85 points"
    assert ACCURACY.number(-0.0285, "+") == "-2.85"
    assert ACCURACY.margin(0.5) == 0.005
    assert ACCURACY.target("0.985") == "98.5%"
    assert ACCURACY.goal("0.985") == "98.5% validation accuracy"
    assert ACCURACY.interval(0.1, 0.2) == "0.1000 to 0.2000"


def test_what_is_better_lower_is_shown_as_it_was() -> None:
    assert LOSS.cell(-2.34567) == "2.3457"
    assert LOSS.text(-2.34567) == "2.3457 nats"
    assert LOSS.interval(-2.5, -2.25) == "2.2500 to 2.5000"
    assert LOSS.difference(0.0123) == "0.0123 nats"
    assert LOSS.margin(0.5) == 0.5
    assert LOSS.best == "lowest"
    assert LOSS.cell(0.0) == "0.0000"  # not -0
    assert [LOSS.cell(-value) for value in (12.5, 12345.0, 2.5e-7, 1e7)] == [
        "12.500",
        "12345",
        "2.5000e-07",
        "1.0000e+07",
    ]


def test_what_is_not_known_is_a_dash() -> None:
    assert (ACCURACY.cell(math.nan), ACCURACY.number(math.nan), ACCURACY.interval(0.1, math.nan)) == ("-", "-", "")


def test_a_bound_is_rounded_so_that_it_stays_true() -> None:
    assert ACCURACY.bound(0.011999) == "at least 1.19 points"
    assert ACCURACY.bound(0.09) == "at least 9.00 points"  # not 8.99, though 0.09 / 0.0001 is 899.999...
    assert ACCURACY.bound(0.00001) == "more than 0 points"
    assert LOSS.bound(0.01239) == "at least 0.0123 nats"
    assert LOSS.bound(1e-9) == "at least 1.00e-09 nats"


def test_a_difference_that_rounds_to_nothing_is_not_nothing() -> None:
    assert ACCURACY.difference(0.00004) == "less than 0.01 points"
    assert ACCURACY.difference(0.0) == "0.00 points"


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 10**400, True, "wide", [1], 1e50])
def test_a_margin_is_a_number_above_0(value: object) -> None:
    with pytest.raises(ValueError, match=r"report\.margin must be a number"):
        check_margin(value, "report.margin")


def test_a_margin_may_be_of_any_type_of_number() -> None:
    assert check_margin(None) is None
    assert check_margin(Decimal("0.5")) == check_margin(np.float32(0.5)) == 0.5


def test_means_that_are_equal_on_paper_read_alike() -> None:
    assert ACCURACY.cell(0.83355) == ACCURACY.cell(math.fsum([0.83355] * 3) / 3) == ACCURACY.cell(0.83355 - 1e-13)


@pytest.mark.parametrize("score, learned", [(0.1, False), (0.1135, False), (0.05, False), (0.16, True), (0.98, True)])
def test_a_network_that_predicts_one_class_has_learned_nothing(score: float, learned: bool) -> None:
    assert ACCURACY.learned(score, 0.1, 0.98) is learned


def test_without_a_perfect_score_the_best_one_stands_in() -> None:
    assert LOSS.learned(-1.2, chance=-2.3, best=-1.0)
    assert not LOSS.learned(-2.29, chance=-2.3, best=-1.0)
    assert not LOSS.learned(-2.3, chance=-2.3, best=-2.3)
    assert LOSS.learned(-99.0, chance=math.nan, best=-1.0)
    assert not LOSS.learned(math.nan, chance=math.nan, best=-1.0)
    perplexity = Metric("perplexity", "perplexity", higher_is_better=False, perfect=1.0)
    assert perplexity.learned(-9.5, chance=-10.0, best=-9.5)  # a twentieth of the way from 10 to 1 is at 9.55
    assert not perplexity.learned(-9.6, chance=-10.0, best=-9.6)


def test_better_is_higher_or_lower() -> None:
    for metric, best, worst in ((ACCURACY, 0.9, 0.0), (LOSS, 0.1, math.inf)):
        assert metric.best_of([0.1, 0.9, 0.5]) == best
        assert metric.worst == worst
    assert (ACCURACY.is_reached(0.9, 0.9), ACCURACY.is_reached(0.89, 0.9), ACCURACY.is_reached(0.91, 0.9)) == (
        True,
        False,
        True,
    )
    assert (LOSS.is_reached(2.0, 2.0), LOSS.is_reached(2.1, 2.0), LOSS.is_reached(1.9, 2.0)) == (True, False, True)
    error = Metric("error", "error", higher_is_better=False, is_share=True)
    assert (error.worst, error.sign, error.best) == (1.0, -1, "lowest")
    assert Metric("reward", "reward").worst == -math.inf
    assert (ACCURACY.best, ACCURACY.points, LOSS.points) == ("highest", "points", "nats")
    assert ACCURACY.at_chance(0.1) == Metric("accuracy", "test accuracy", is_share=True, perfect=1.0, chance=0.1)


def test_targets_are_sentences_and_those_of_a_share_are_between_0_and_1() -> None:
    assert LOSS.target(2) == "2 nats"
    assert Metric("mse", "test MSE", higher_is_better=False).goal(0.25) == "a validation MSE of 0.25"
    assert Metric("l", "val/loss", higher_is_better=False, unit="nats").goal("2.0") == "a validation loss of 2 nats"
    ACCURACY.check_targets([0.5, 0.99], "data.targets")
    LOSS.check_targets([0.0, 1.0, 7.0], "data.targets")
    for target in (0.0, 1.0, 98.5):
        message = f"data.targets must be above 0 and below 1 for accuracy, got {target:g}$"
        with pytest.raises(ValueError, match=message):
            ACCURACY.check_targets([0.5, target], "data.targets")


def test_a_metric_of_ones_own() -> None:
    share = metric_named("top5", True, "share", chance=0.05)
    assert share == Metric("top5", "top5", is_share=True, perfect=1.0, chance=0.05)
    assert metric_named("err", False, "share").perfect == 0.0
    loss = metric_named("val_loss", np.bool_(False), "nats", chance=2.3)
    assert loss == Metric("val_loss", "val_loss", higher_is_better=False, unit="nats", chance=2.3)
    assert [logged_metric(name, True).name for name in ("val/acc", "val_acc", "acc", "interval")] == [
        "acc",
        "acc",
        "acc",
        "interval",
    ]
    assert logged_metric("val/acc", True).label == "val/acc"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((1, ""), "higher_is_better must be True or False, got 1"),
        ((True, None), "unit must be text, got None"),
        ((True, "share", 1.1), "chance must be a share of 0 to 1, got 1.1"),
        ((True, "share", -0.1), "chance must be a share of 0 to 1, got -0.1"),
        ((True, "", "high"), "chance must be a number, got 'high'"),
        ((True, "", -1e51), "chance must be a number below 1e"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        metric_named("score", *arguments)
    for chance in (0.0, 1.0):
        assert metric_named("score", True, "share", chance).chance == chance
