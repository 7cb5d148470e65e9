"""Seeds needed, against the note of its formula, statsmodels-free, and by simulation of the test itself."""

import math

import numpy as np
import pandas as pd
import pytest

from initbench.analysis.flips import sign_flip
from initbench.analysis.power import detectable, least_seeds, seeds_needed, spread


@pytest.mark.parametrize("effect, seeds", [(0.5, 34), (0.8, 15), (1.0, 10), (1.2, 8)])
def test_standardized_effects(effect: float, seeds: int) -> None:
    """By the power of Student's paired t test, 80 % at two-sided 5 %: Cohen 1988, table 2.4.1."""
    assert seeds_needed(effect, 1.0) == pytest.approx(seeds, abs=0.5)


@pytest.mark.parametrize("effect", [0.8, 1.2])
def test_so_many_seeds_show_it_in_four_of_five_studies(effect: float) -> None:
    seeds, generator = seeds_needed(effect, 1.0), np.random.default_rng(0)
    assert seeds is not None
    differences = generator.normal(effect, 1.0, (seeds, 2000))
    assert (sign_flip(differences, np.zeros(seeds)) < 0.05).mean() == pytest.approx(0.8, abs=0.04)


def test_what_seeds_can_detect_is_the_inverse() -> None:
    assert seeds_needed(detectable(20, 0.3), 0.3) == 20
    assert math.isinf(detectable(5, 0.3))


def test_nothing_says_how_many() -> None:
    assert seeds_needed(0.0, 1.0) is None
    assert seeds_needed(0.1, math.nan) is None
    assert seeds_needed(1e-9, 1.0) is None


def test_the_least_number_of_seeds() -> None:
    assert least_seeds() == 6
    assert least_seeds(workloads=2) == 3
    assert least_seeds(workloads=6) == 3  # the spread of a workload takes three
    assert least_seeds(level=0.025) == 7
    assert seeds_needed(100.0, 1.0) == 6


def test_the_spread_of_a_mean_over_workloads() -> None:
    index = pd.MultiIndex.from_product([["v", "w"], range(3)], names=["workload", "seed"])
    differences = pd.Series([1.0, 2.0, 3.0, 5.0, 7.0, 9.0], index)
    assert spread(differences) == pytest.approx(math.sqrt(1 + 4) / 2)  # variances 1 and 4
    assert spread(differences.loc[["v"]]) == pytest.approx(1)
    assert math.isnan(spread(differences.iloc[[0, 3, 4]]))
