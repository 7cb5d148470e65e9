"""What is said of a drift holds its level: by simulation, with planted drifts."""

import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from initbench.transfer.best_rate import Scores
from initbench.transfer.drift import Drift, drifts
from initbench.transfer.wording import basis, sentence

VALUES = (64.0, 128.0, 256.0, 512.0)
RATES = tuple(2.0**power for power in range(-14, -5))
STUDIES = 200


def study(slope: float, rng: np.random.Generator, *, seeds: int = 10, noise: float = 0.05, init: str = "a") -> Scores:
    """Curves that are steeper beyond the best rate than below it, as real ones are; seeds share some of the noise."""
    x, best = np.log2(RATES), -10.3 + slope * np.log2(np.array(VALUES) / 64)
    away = x[None, :] - best[:, None]
    curves = -0.1 * np.where(away > 0, 1.5 * away**2, away**2)
    shared = rng.normal(size=(seeds, 1, 1))
    own = rng.standard_t(5, size=(seeds, len(VALUES), len(RATES)))
    diverged = np.zeros((len(VALUES), len(RATES)), dtype=bool)
    return Scores(init, VALUES, RATES, curves + noise * (shared + own), (), diverged)


@cache
def findings(slope: float, **options: Any) -> list[Drift]:
    rng = np.random.default_rng(0)
    return [drift for _ in range(STUDIES) for drift in drifts([study(slope, rng, **options)])]


@pytest.mark.parametrize("slope", [0.0, -0.5])
def test_intervals_cover_the_planted_drift(slope: float) -> None:
    """By 95 %, less what 200 studies may miss by chance (two standard errors of 1.5 %) and one point."""
    found = findings(slope)
    assert np.mean([drift.low <= slope <= drift.high for drift in found]) >= 0.91


def test_no_drift_is_seldom_called_one() -> None:
    assert np.mean([drift.finding == "drifts" for drift in findings(0.0)]) <= 0.09


@pytest.mark.parametrize("slope", [0.21, -0.21])
def test_a_drift_beyond_the_tolerance_is_seldom_called_none(slope: float) -> None:
    assert np.mean([drift.finding == "transfers" for drift in findings(slope)]) <= 0.055


def test_what_is_clear_is_found() -> None:
    assert np.mean([drift.finding == "transfers" for drift in findings(0.0, noise=0.01)]) >= 0.95
    assert np.mean([drift.finding == "drifts" for drift in findings(-1.0, noise=0.01)]) >= 0.95


def test_a_best_rate_at_an_edge_leaves_it_open() -> None:
    (drift,) = drifts([study(-1.5, np.random.default_rng(0), noise=0.0001)])
    assert drift.finding == "open"
    assert drift.edges == [512.0]
    assert "at 512 it is at the edge of the rates that were tried, 6.1e-05 to 0.0156." in sentence(drift, "width")


def test_four_seeds_are_too_few() -> None:
    (drift,) = drifts([study(0.0, np.random.default_rng(0), seeds=4)])
    assert drift.finding == "open"
    assert "an interval needs five seeds, and there are 4 complete seeds." in sentence(drift, "batch_size")


def test_the_sentences() -> None:
    rng = np.random.default_rng(0)
    found = drifts([study(0.0, rng, noise=0.001, init="mup"), study(-0.9, rng, noise=0.001, init="gpt2")])
    assert sentence(found[0], "width").startswith("mup: the best learning rate transfers along width: it changes by ")
    assert re.search(
        r"drifts along width, by -0\.9\d .*at twice the width it is 0\.5\d times as high\.$",
        sentence(found[1], "width"),
    )
    assert basis(found, 0.05).startswith("The intervals of drifts, from a bootstrap of 10 seeds, hold for all")
    assert "with 97.5% confidence" in basis(found, 0.025)


def test_runs_that_diverge_beside_the_best_rate_leave_it_open() -> None:
    """Their score is no point of a parabola: it would move the best rate by half a step, in every resample alike."""
    scores = study(0.0, np.random.default_rng(0), noise=0.001)
    best = int(scores.scores.mean(axis=0)[1].argmax())
    scores.scores[:, 1, best + 1 :] = -100
    scores.diverged[1, best + 1 :] = True
    (drift,) = drifts([scores])
    assert drift.finding == "open"
    assert "at 128, runs diverged at the rates next to the best." in sentence(drift, "width")
    assert drift.best[1] < drift.best[0] - 0.1


def test_with_five_seeds_and_several_initializers_claims_hold_too() -> None:
    """No drift is called one, and one beyond the tolerance is called none, in 5 % of studies at most."""
    rng = np.random.default_rng(1)
    found = [drifts([study(slope, rng, seeds=5, init=str(slope)) for slope in (0.0, 0.0, 0.21)]) for _ in range(100)]
    wrong = [
        any(drift.finding == ("transfers" if drift.init == "0.21" else "drifts") for drift in of_study)
        for of_study in found
    ]
    assert np.mean(wrong) <= 0.1


def test_each_of_several_intervals_has_its_part_of_the_level() -> None:
    scores = study(0.0, np.random.default_rng(0))
    alone, stricter = drifts([scores], 0.05), drifts([scores], 0.0125)
    several = drifts([scores] * 4, 0.05)
    assert {(each.low, each.high) for each in several} == {(stricter[0].low, stricter[0].high)}
    assert stricter[0].low < alone[0].low < alone[0].high < stricter[0].high
    # The intervals of single rates hold each by itself.
    assert all(np.array_equal(each.best_low, alone[0].best_low) for each in several)
    assert all(np.array_equal(each.best_high, alone[0].best_high) for each in several)


def test_over_a_doubling_from_a_rate_that_is_certain_the_drift_is_as_uncertain_as_the_other_rate() -> None:
    scores = study(0.0, np.random.default_rng(0)).scores[:, :2]
    scores[:, 0] = scores[:, 0].mean(axis=0)
    (drift,) = drifts([Scores("a", (64.0, 128.0), RATES, scores, (), np.zeros((2, len(RATES)), dtype=bool))])
    assert drift.best_low[0] == pytest.approx(drift.best[0])
    assert drift.slope == pytest.approx(drift.best[1] - drift.best[0])
    assert drift.low == pytest.approx(drift.best_low[1] - drift.best[0])
    assert drift.high == pytest.approx(drift.best_high[1] - drift.best[0])


def test_five_seeds_are_enough_for_an_interval() -> None:
    (drift,) = drifts([study(0.0, np.random.default_rng(0), seeds=5)])
    assert drift.low < drift.slope < drift.high


def test_what_intervals_are_is_said_if_there_is_any() -> None:
    rng = np.random.default_rng(0)
    few, enough = (study(0.0, rng, seeds=seeds) for seeds in (4, 10))
    assert basis(drifts([few]), 0.05) == ""
    assert basis(drifts([few, replace(enough, left_out=(11, 3))]), 0.05).startswith(
        "The intervals of drifts, from a bootstrap of 4 or 10 seeds, hold for all initializers at once with 95%"
    )
    assert basis(drifts([replace(enough, left_out=(11, 3))]), 0.05).endswith(
        " Seeds 3, 11 are left out, as some of their runs have not ended."
    )


@pytest.mark.parametrize("axis, said", [("width", "width"), ("depth", "depth"), ("batch_size", "batch size")])
def test_the_axis_is_named_in_words(axis: str, said: str) -> None:
    (drift,) = drifts([study(-1.0, np.random.default_rng(0), noise=0.01)])
    assert f"drifts along {said}, by " in sentence(drift, axis)
    assert f"at twice the {said} it is 0.5" in sentence(drift, axis)
