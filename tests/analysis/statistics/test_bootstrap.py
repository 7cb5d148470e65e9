"""The bootstrap against spelled-out resamples and Student."""

import math

import numpy as np
import pytest
from scipy import stats

from initbench.analysis.statistics.bootstrap import RESAMPLES, bootstrap_counts, percentiles, quantiles, studentized


def p_of(differences: list[float]) -> float:
    return float(studentized(np.array(differences)[:, None]).p()[0])


def test_the_bootstrap_t_by_hand() -> None:
    """Spelled out resample by resample."""
    differences = np.array([0.01, 0.03, -0.02, 0.05, 0.04, 0.02])
    mean, error = differences.mean(), stats.sem(differences)
    t = []
    for counts in bootstrap_counts((6,)).astype(int):
        resample = np.repeat(differences, counts)
        least = math.sqrt(0.1) * error  # a resample without spread counts with a tenth of the variance
        t.append((resample.mean() - mean) / max(stats.sem(resample), least))
    above = sum(value >= mean / error - 1e-12 for value in t)
    assert p_of(differences.tolist()) == pytest.approx(2 * (above + 1) / (RESAMPLES + 1))


def test_it_is_students_where_seeds_are_many() -> None:
    differences = np.random.default_rng(0).normal(0.012, 0.1, 300)
    assert p_of(differences.tolist()) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.02)


def test_it_has_the_sign_of_the_differences() -> None:
    differences = np.random.default_rng(1).exponential(size=(12, 1)) - 0.5
    assert studentized(differences).p() == pytest.approx(studentized(-differences).p())


def test_it_needs_seeds() -> None:
    assert math.isnan(p_of([0.1, 0.2, 0.3, 0.4]))
    assert not math.isnan(p_of([0.1, 0.2, 0.3, 0.4, 0.2]))
    assert math.isnan(p_of([]))


def test_differences_all_the_same_are_certain() -> None:
    assert p_of([0.1] * 10) == 0
    assert p_of([0.0] * 10) == 1


def test_one_unusual_seed_does_not_make_t_infinite() -> None:
    # (5/6)^6 = 33 % of the resamples miss it; without the least variance p would be 0.67.
    assert p_of([1.2, 1.2, 1.2, 1.2, 1.2, 1.1]) < 0.01


def test_resamples_are_stratified_and_unbiased() -> None:
    counts = bootstrap_counts((3, 5))
    assert (counts[:, :3].sum(axis=1) == 3).all()
    assert (counts[:, 3:].sum(axis=1) == 5).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(8), abs=4 / math.sqrt(len(counts)))


def test_expanded_percentiles_by_hand() -> None:
    # 10 seeds of one workload: Student's 2.262 with 9 degrees of freedom, times sqrt(10 / 9), is the normal's 0.86 %.
    values = np.arange(1.0, 10_000.0)
    tail = stats.norm.cdf(math.sqrt(10 / 9) * stats.t.ppf(0.025, 9))
    assert tail == pytest.approx(0.0086, abs=5e-5)
    assert percentiles(values, (10,), 0.95) == (round(tail * 10_000), 10_000 - round(tail * 10_000))


def test_quantiles_leave_infinities_alone() -> None:
    values = np.array([math.inf, 1, 2, -math.inf, 3, math.inf, -math.inf, 4, 5])
    assert quantiles(values, 0.1) == (-math.inf, math.inf)
    assert quantiles(values, 0.3) == (1, 5)


@pytest.mark.parametrize("seeds, value", [(6, 0.1), (7, 0.9), (10, 0.3), (11, 0.7)])
def test_what_rounding_leaves_of_equal_differences_is_no_spread(seeds: int, value: float) -> None:
    values = np.full((seeds, 1), value)
    assert (values != values.mean(axis=0)).any()
    assert studentized(values).error.tolist() == [0.0]
    assert studentized(values).p().tolist() == [0.0]


@pytest.mark.parametrize("sizes", [(4,), (9, 2), (2, 9), (3, 3, 2)])
def test_an_interval_needs_seeds_on_each_workload(sizes: tuple[int, ...]) -> None:
    assert all(map(math.isnan, percentiles(np.arange(1.0, 10_000.0), sizes, 0.95)))


@pytest.mark.parametrize("sizes", [(5,), (3, 3), (3, 4, 5)])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_each_workload_takes_a_degree_of_freedom(sizes: tuple[int, ...], confidence: float) -> None:
    values, freedom = np.arange(1.0, 10_000.0), sum(sizes) - len(sizes)
    t = stats.t.ppf((1 - confidence) / 2, freedom)
    outside = round(stats.norm.cdf(math.sqrt(sum(sizes) / freedom) * t) * 10_000)
    assert percentiles(values, sizes, confidence) == (outside, 10_000 - outside)
