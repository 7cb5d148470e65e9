"""The statistics against independent libraries: `make test-oracles` installs them."""

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from initbench.analysis.statistics.aggregate import average_ranks, interquartile_mean
from initbench.analysis.statistics.pairs import compare, holm, improvements
from initbench.analysis.statistics.sign_flips import sign_flip
from initbench.analysis.statistics.survival import hit_rate, kaplan_meier, log_rank, median_time, restricted_mean

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # lifelines', of a pandas to come


def library(name: str) -> Any:
    """Skipped without the extra; the libraries' own warnings are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason="needs the extra `oracles`")


@pytest.fixture
def times() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Steps to a target of two initializers, forty runs each, a third of them censored."""
    generator = np.random.default_rng(0)
    drawn = [np.ceil(10 * generator.exponential(scale, 40)) * 5 for scale in (1.0, 1.6)]
    return (*(np.minimum(of, 70) for of in drawn), *(of <= 70 for of in drawn))


def scores(seeds: int = 12, workloads: int = 1, inits: int = 4) -> pd.DataFrame:
    generator = np.random.default_rng(1)
    index = pd.MultiIndex.from_product([range(workloads), range(seeds)], names=["workload", "seed"])
    values = 0.8 + 0.02 * generator.normal(size=(len(index), inits)) + 0.01 * np.arange(inits)
    return pd.DataFrame(values, index, columns=list("abcdefgh"[:inits]))


def test_kaplan_meier_and_its_median_are_lifelines(times: tuple[np.ndarray, ...]) -> None:
    lifelines = library("lifelines")
    a, _, reached, _ = times
    fitted = lifelines.KaplanMeierFitter().fit(a, reached)
    ours = kaplan_meier(a, reached)
    theirs = fitted.survival_function_["KM_estimate"]
    assert ours["survival"].to_dict() == pytest.approx(theirs.loc[ours.index].to_dict())
    band = fitted.confidence_interval_.loc[ours.index[1:-1]].to_numpy()
    assert ours[["low", "high"]].to_numpy()[1:-1] == pytest.approx(band, nan_ok=True)
    assert median_time(a, reached) == fitted.median_survival_time_


def test_the_restricted_mean_is_lifelines(times: tuple[np.ndarray, ...]) -> None:
    lifelines, utils = library("lifelines"), library("lifelines.utils")
    a, _, reached, _ = times
    fitted = lifelines.KaplanMeierFitter().fit(a, reached)
    assert restricted_mean(a, reached, 70)[0] == pytest.approx(utils.restricted_mean_survival_time(fitted, t=70))


def test_the_log_rank_test_is_lifelines_where_runs_are_many(times: tuple[np.ndarray, ...]) -> None:
    statistics = library("lifelines.statistics")
    a, b, reached_a, reached_b = times
    theirs = statistics.logrank_test(a, b, reached_a, reached_b).p_value
    assert 0.001 < theirs < 0.5
    assert log_rank(a, reached_a, b, reached_b) == pytest.approx(theirs, abs=0.02)


def test_the_interquartile_mean_and_the_probability_of_improvement_are_rliables() -> None:
    metrics = library("rliable.metrics")
    table = scores(seeds=8, workloads=3, inits=2)
    runs_by_tasks = {init: table[init].unstack("workload").to_numpy() for init in table}
    for init, values in runs_by_tasks.items():
        assert interquartile_mean(table).at[init, "iqm"] == pytest.approx(metrics.aggregate_iqm(values))
    theirs = metrics.probability_of_improvement(runs_by_tasks["b"], runs_by_tasks["a"])
    # Theirs counts the pairs of one seed, which ours leaves out: 8 of 64 in each task.
    same = np.mean([np.mean(b > a) for a, b in zip(runs_by_tasks["a"].T, runs_by_tasks["b"].T, strict=True)])
    assert (64 * theirs - 8 * same) / 56 == pytest.approx(improvements(table, [("b", "a")])["b", "a"][0])


def test_friedman_and_nemenyi_are_scikit_posthocs() -> None:
    posthocs = library("scikit_posthocs")
    table = scores()
    ranks = average_ranks(table)
    assert ranks.friedman_p == pytest.approx(stats.friedmanchisquare(*table.to_numpy().T).pvalue)
    theirs = posthocs.posthoc_nemenyi_friedman(table.to_numpy())
    for i, a in enumerate(table):
        for j, b in enumerate(table):
            is_apart = abs(ranks.ranks[a] - ranks.ranks[b]) > ranks.critical_difference
            assert is_apart == (theirs.iloc[i, j] < 0.05)


def test_holm_is_statsmodels() -> None:
    multitest = library("statsmodels.stats.multitest")
    p = np.random.default_rng(2).random(30) ** 2
    assert holm(p) == pytest.approx(multitest.multipletests(p, method="holm")[1])


def test_the_exact_interval_of_a_share_is_statsmodels() -> None:
    proportion = library("statsmodels.stats.proportion")
    for hits in range(11):
        low, high = proportion.proportion_confint(hits, 10, method="beta")
        assert hit_rate(np.arange(10) < hits)[1:] == pytest.approx((low, high))


@pytest.mark.parametrize("margin", [0.012, 0.02, 0.03])
def test_equality_agrees_with_statsmodels_two_one_sided_t_tests(margin: float) -> None:
    """Theirs assume a normal distribution, ours flip signs: on normal scores of many seeds p is nearly the same."""
    weightstats = library("statsmodels.stats.weightstats")
    table = scores(seeds=40, inits=2)
    (row,) = compare(table, margin=margin).to_dict("records")
    theirs = weightstats.ttost_paired(table[row["a"]], table[row["b"]], -margin, margin)[0]
    assert row["p_equal"] == pytest.approx(theirs, abs=0.01)


def test_the_sign_flip_test_is_scipys_on_paired_samples() -> None:
    table = scores(seeds=10, inits=2)

    def statistic(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return np.mean(a - b, axis=axis)

    theirs = stats.permutation_test(
        (table["a"], table["b"]), statistic, permutation_type="samples", vectorized=True, n_resamples=math.inf
    )
    assert sign_flip(table["a"] - table["b"]) == pytest.approx(theirs.pvalue)
