"""Seeds needed, against the note of its formula, statsmodels-free, and by simulation of the test itself."""

import math

import numpy as np
import pandas as pd
import pytest

from initbench.analysis.statistics.power import detectable, seeds_needed, spread
from initbench.analysis.statistics.sign_flips import sign_flip


@pytest.mark.parametrize("effect, seeds", [(0.5, 34), (0.8, 15), (1.0, 10), (1.2, 8)])
def test_standardized_effects(effect: float, seeds: int) -> None:
    """By the power of Student's paired t test, 80 % at two-sided 5 %: Cohen 1988, table 2.4.1."""
    assert seeds_needed(effect, 1.0) == pytest.approx(seeds, abs=0.5)


@pytest.mark.parametrize("level, power", [(0.05, 0.8), (0.025, 0.8), (0.05, 0.95)])
@pytest.mark.parametrize("effect", [0.8, 1.1, 2.0, 3.0])
def test_so_many_seeds_show_it_that_often(effect: float, level: float, power: float) -> None:
    """With few seeds p takes few values, and the power is a little less."""
    seeds, generator = seeds_needed(effect, 1.0, level, power), np.random.default_rng(0)
    assert seeds is not None
    found = (sign_flip(generator.normal(effect, 1.0, (seeds, 2000))) < level).mean()
    assert found > power - 0.06
    if effect < 1:
        assert found == pytest.approx(power, abs=0.04)


def test_what_seeds_can_detect_is_the_inverse() -> None:
    assert seeds_needed(detectable(20, 0.3), 0.3) == 20
    assert math.isinf(detectable(5, 0.3))


def test_nothing_says_how_many() -> None:
    assert seeds_needed(0.0, 1.0) is None
    assert seeds_needed(0.1, math.nan) is None
    assert seeds_needed(1e-9, 1.0) is None


def test_no_number_of_seeds_shows_next_to_nothing() -> None:
    assert seeds_needed(1e-300, 1.0) is None
    assert seeds_needed(1e-200, 1e-3) is None


def test_with_the_fewest_seeds_each_has_to_win() -> None:
    assert seeds_needed(100.0, 1.0) == 6
    assert seeds_needed(100.0, 1.0, level=0.025) == 7
    assert seeds_needed(0.1, 0.0) == 6
    # Six normal differences are all above 0 in four of five studies if their mean is 1.79 standard deviations.
    assert detectable(6, 2.0) == pytest.approx(3.58, abs=0.01)
    assert [seeds_needed(effect, 1.0) for effect in (1.8, 1.75)] == [6, 7]


def test_the_spread_of_a_mean_over_workloads() -> None:
    index = pd.MultiIndex.from_product([["v", "w"], range(3)], names=["workload", "seed"])
    differences = pd.Series([1.0, 2.0, 3.0, 5.0, 7.0, 12.0], index)
    assert spread(differences) == pytest.approx(np.std([3, 4.5, 7.5], ddof=1))
    assert spread(differences.loc[["v"]]) == pytest.approx(1)
    assert math.isnan(spread(differences.iloc[[0, 3]]))
    known = differences.drop(index=[("v", 2), ("w", 2)])
    assert spread(differences.where(differences.index.isin(known.index))) == pytest.approx(spread(known))
