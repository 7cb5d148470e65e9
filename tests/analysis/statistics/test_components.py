"""Variance components of crossed seeds: against the formulas by hand, and by simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from simulated_samples import LAYOUTS, Layout

from initbench.analysis.statistics.components import components, deviation
from initbench.analysis.statistics.new_data import share_of_test_set


def test_two_sources_are_those_of_the_two_way_analysis_of_variance() -> None:
    scores = np.random.default_rng(0).normal(size=(4, 5)) + np.arange(4)[:, None]
    centered = scores - scores.mean()
    rows, columns = centered.mean(axis=1), centered.mean(axis=0)
    of_rows, of_columns = 5 * (rows @ rows) / 3, 4 * (columns @ columns) / 4
    residual = np.square(centered - rows[:, None] - columns).sum() / 12
    found = components(scores[..., None], ["weights", "order"])
    assert list(found) == ["weights", "order", "interaction"]
    expected = [(of_rows - residual) / 5, (of_columns - residual) / 4, residual]
    assert [part.variance for part in found.values()] == pytest.approx(expected)
    assert sum(part.share for part in found.values()) == pytest.approx(1)


def test_one_source_is_the_variance_between_runs_with_and_without_the_test_set() -> None:
    values = np.random.default_rng(0).normal(size=(9, 40)) + np.random.default_rng(1).normal(size=(9, 1))
    found = components(values, ["order"])
    assert sum(part.variance for part in found.values()) == pytest.approx(values.mean(axis=1).var(ddof=1))
    assert found["test set"].share == pytest.approx(share_of_test_set(values[None])[0])


def test_the_order_of_the_sources_does_not_matter() -> None:
    values = LAYOUTS["weights and test set, three sources"].values(np.random.default_rng(0))
    found = components(values, ["a", "b", "c"])
    turned = components(values.transpose(2, 0, 1, 3), ["c", "a", "b"])
    for name, part in found.items():
        assert turned[name][:2] == pytest.approx(part[:2])
        assert turned[name][2:] == pytest.approx(part[2:], abs=0.02)


@pytest.mark.parametrize("values", [np.full((3, 3, 1), 0.1), np.full((3, 3, 7), 0.1)], ids=["scores", "samples"])
def test_runs_that_are_all_equal_have_no_shares(values: np.ndarray) -> None:
    for part in components(values, ["weights", "order"]).values():
        assert part.variance == 0
        assert math.isnan(part.share)


@pytest.mark.parametrize("name", LAYOUTS)
def test_estimates_are_unbiased_and_intervals_cover(name: str) -> None:
    check(LAYOUTS[name], studies=100)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_estimates_are_unbiased_and_intervals_cover_in_many_studies(name: str) -> None:
    check(LAYOUTS[name], studies=1000)


def check(layout: Layout, studies: int) -> None:
    rng, truth = np.random.default_rng(0), layout.truth
    found = [components(layout.values(rng), layout.sources) for _ in range(studies)]
    for name, variance in truth.items():
        estimates = np.array([parts[name].variance for parts in found])
        assert abs(estimates.mean() - variance) < 4 * estimates.std() / math.sqrt(studies)
        share = variance / sum(truth.values())
        covered = sum(parts[name].low <= share <= parts[name].high for parts in found)
        assert covered >= stats.binom.ppf(0.001, studies, 0.92), name  # see docs/explanation/comparison.md


@pytest.mark.parametrize("samples", [1, 50])
def test_two_seeds_of_each_are_few_and_no_error(samples: int) -> None:
    """Not even if there is nothing but an interaction."""
    scores = np.array([[0.5, 0.6], [0.6, 0.5]])[..., None] + np.linspace(-0.1, 0.1, samples)
    found = components(scores, ["weights", "order"])
    assert found["interaction"].share == pytest.approx(1)
    for part in found.values():
        assert 0 <= part.low <= part.share <= part.high <= 1 + 1e-12
    assert deviation(found) >= 0


def test_the_deviation_is_that_of_a_run_with_new_seeds() -> None:
    layout, rng = LAYOUTS["all alike"], np.random.default_rng(0)
    found = [deviation(components(layout.values(rng), layout.sources)) ** 2 for _ in range(200)]
    assert np.mean(found) == pytest.approx(sum(layout.truth.values()), rel=0.1)
