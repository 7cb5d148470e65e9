"""How scores, differences and targets are read, in either direction."""

import math
from decimal import Decimal

import numpy as np
import pytest

from initbench.metric import ACCURACY, Metric, check_margin, check_number, logged_metric, metric_named

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


ERROR = metric_named("error", higher_is_better=False, unit="share")
REWARD = metric_named("reward", higher_is_better=True)


@pytest.mark.parametrize(
    "metric, sign, worst, best, word, points",
    [
        (ACCURACY, 1, 0.0, 3, "highest", "points"),
        (ERROR, -1, 1.0, 1, "lowest", "points"),
        (REWARD, 1, -math.inf, 3, "highest", ""),
        (LOSS, -1, math.inf, 1, "lowest", "nats"),
    ],
)
def test_what_is_better(metric: Metric, sign: int, worst: float, best: int, word: str, points: str) -> None:
    assert (metric.sign, metric.worst, metric.best, metric.points) == (sign, worst, word, points)
    assert metric.best_of(iter([2, 1, 3])) == best
    assert [metric.is_reached(value, 0.5) for value in (0.4, 0.5, 0.6)] == [sign < 0, True, sign > 0]


def test_targets_in_sentences() -> None:
    assert LOSS.target("2.0") == "2 nats"
    assert Metric("loss", "test loss", higher_is_better=False, unit="nats").goal(2) == "a validation loss of 2 nats"
    assert REWARD.goal(0.25) == "a validation reward of 0.25"
    assert LOSS.goal(2) == "a validation loss of 2 nats"
    assert ERROR.goal(0.25) == "25% validation error"


@pytest.mark.parametrize("target", [0, 1, -0.1, 1.5, 95])
def test_a_target_of_a_share_lies_between_0_and_1(target: float) -> None:
    with pytest.raises(ValueError, match=rf"^data.targets must be above 0 and below 1 for accuracy, got {target:g}$"):
        ACCURACY.check_targets([0.5, target], "data.targets")
    LOSS.check_targets([target], "data.targets")


def test_differences_have_the_unit_of_the_metric() -> None:
    assert REWARD.difference(1.5) == "1.50"
    assert REWARD.text(1.5) == "1.5000"
    assert REWARD.bound(0.0123456) == "at least 0.0123"
    assert LOSS.number(0.0123, "+") == "+0.0123"
    assert ERROR.text(-0.25) == "25.00%"
    assert ERROR.interval(-0.3, -0.2) == "0.2000 to 0.3000"
    assert ACCURACY.difference(-0.00004) == "less than 0.01 points"
    assert ACCURACY.difference(0.00005) == "0.01 points"


def test_a_metric_that_a_user_describes() -> None:
    assert (ERROR.is_share, ERROR.perfect, ERROR.unit, ERROR.chance) == (True, 0.0, "", None)
    own = metric_named("top1", True, "share", chance=0.1)
    assert (own.is_share, own.perfect, own.chance, own.label) == (True, 1.0, 0.1, "top1")
    plain = metric_named("bleu", np.bool_(True), "%", chance=2)
    assert (plain.is_share, plain.perfect, plain.unit, plain.chance) == (False, None, "%", 2.0)
    assert ACCURACY.at_chance(0.1).chance == 0.1
    assert [logged_metric(name, False).name for name in ("val/loss", "val_loss", "loss", "top_val_5")] == [
        "loss",
        "loss",
        "loss",
        "top_val_5",
    ]
    assert logged_metric("val/loss", False).label == "val/loss"


@pytest.mark.parametrize(
    "given, said",
    [
        ({"higher_is_better": 1}, "higher_is_better must be True or False, got 1"),
        ({"higher_is_better": "no"}, "higher_is_better must be True or False, got 'no'"),
        ({"unit": 1}, "unit must be text, got 1"),
        ({"unit": "share", "chance": 1.5}, "chance must be a share of 0 to 1, got 1.5"),
        ({"unit": "share", "chance": -0.1}, "chance must be a share of 0 to 1, got -0.1"),
        ({"chance": "low"}, "chance must be a number, got 'low'"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        metric_named(**{"score": "s", "higher_is_better": True, **given})


def test_numbers_of_any_type_below_the_largest() -> None:
    assert check_number(None, "chance") is None
    assert check_number(-9e49, "chance") == -9e49
    assert check_number(np.int64(3), "chance") == 3.0
    for value in (-1e50, 1e50, 10**400, math.inf):
        with pytest.raises(ValueError, match=r"^chance must be a number below 1e\+50, got"):
            check_number(value, "chance")
    for value in (True, "1", b"1", math.nan, [1.0]):
        with pytest.raises(ValueError, match=r"^chance must be a number, got"):
            check_number(value, "chance")
