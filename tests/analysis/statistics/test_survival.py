"""Censored times against textbooks, SciPy and hand computations."""

import math
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from initbench.analysis.statistics.survival import (
    hit_rate,
    is_faster,
    kaplan_meier,
    log_rank,
    median_time,
    restricted_mean,
    unseen,
)

# Weeks of remission under 6-mercaptopurine and placebo: Freireich et al. 1963, the example of Gehan 1965 and of most
# textbooks since. 9 of 21 relapsed under the drug; all did under placebo.
DRUG = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
RELAPSED = [True] * 9 + [False] * 12
PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
ALL = [True] * 21


def test_kaplan_meier_of_the_leukaemia_data() -> None:
    # Klein & Moeschberger 2003, table 4.1B; Kleinbaum & Klein 2012, p. 60
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    curve = kaplan_meier(DRUG, RELAPSED)
    assert curve.index[0] == 0
    assert curve["survival"][0] == 1
    for week, survival in published.items():
        assert curve["survival"][week] == pytest.approx(survival, abs=5e-4)
    assert curve["survival"].iloc[-1] == curve["survival"][23]  # nobody relapsed later


def test_the_log_log_interval_by_hand() -> None:
    # At week 6, 3 of 21 relapsed: S = 6/7, Greenwood's sum 3 / (21 * 18), so the standard error of log(-log S) is
    # sqrt(3 / 378) / log(7 / 6) = 0.5779, and S ** exp(-+ 1.96 * 0.5779) = 0.952, 0.620.
    row = kaplan_meier(DRUG, RELAPSED).loc[6]
    error = math.sqrt(3 / 378) / math.log(7 / 6)
    assert row["low"] == pytest.approx((6 / 7) ** math.exp(1.959964 * error))
    assert row["high"] == pytest.approx((6 / 7) ** math.exp(-1.959964 * error))
    assert (row["low"], row["high"]) == pytest.approx((0.620, 0.952), abs=5e-4)


def test_a_wider_confidence_is_a_wider_interval() -> None:
    for function in (
        lambda confidence: kaplan_meier(DRUG, RELAPSED, confidence).loc[10, ["low", "high"]].tolist(),
        lambda confidence: hit_rate(RELAPSED, confidence)[1:],
        lambda confidence: restricted_mean(DRUG, RELAPSED, 30, confidence)[1:],
    ):
        (low, high), (lower, higher) = function(0.8), function(0.95)
        assert lower < low < high < higher


@pytest.mark.parametrize(
    "times, reached, survival",
    [
        ([5, 6, 7], [False] * 3, [1, 1, 1, 1]),
        ([5, 5, 5], [True] * 3, [1, 0]),
        ([5], [True], [1, 0]),
        ([5], [False], [1, 1]),
    ],
)
def test_kaplan_meier_without_variance_has_no_interval(
    times: list[int], reached: list[bool], survival: list[int]
) -> None:
    curve = kaplan_meier(times, reached)
    assert curve["survival"].tolist() == survival
    assert curve[["low", "high"]].isna().all(axis=None)


def test_without_early_censoring_survival_is_a_share() -> None:
    generator = np.random.default_rng(0)
    times = generator.integers(1, 12, size=30)
    curve = kaplan_meier(np.minimum(times, 9), times <= 9)
    for time in range(1, 10):
        assert curve["survival"].get(time, default=math.nan) == pytest.approx((times > time).mean())


def test_hit_rate_by_hand() -> None:
    # None of 5: the upper limit p has (1 - p)^5 = 0.025.
    assert hit_rate([False] * 5) == pytest.approx((0, 0, 1 - 0.025**0.2))
    assert hit_rate([True] * 5) == pytest.approx((1, 0.025**0.2, 1))
    # Clopper & Pearson through the beta distribution
    rate, low, high = hit_rate([True] * 3 + [False] * 7)
    assert rate == pytest.approx(0.3)
    assert (low, high) == pytest.approx((stats.beta.ppf(0.025, 3, 8), stats.beta.ppf(0.975, 4, 7)))


def test_hit_rate_needs_a_run() -> None:
    with pytest.raises(ValueError, match="n must be"):
        hit_rate([])


def test_restricted_mean_of_the_leukaemia_data() -> None:
    # R, survival package: print(survfit(...), rmean=35) has 23.29 with standard error 2.83, and 8.67 with 1.38. Ours
    # has n / (n - 1) = 21 / 20 in the variance and Student's t with 20 degrees of freedom.
    for times, reached, published, error in ((DRUG, RELAPSED, 23.29, 2.83), (PLACEBO, ALL, 8.67, 1.38)):
        mean, low, high = restricted_mean(times, reached, 35)
        assert mean == pytest.approx(published, abs=5e-3)
        half_width = stats.t.ppf(0.975, 20) * error * math.sqrt(21 / 20)
        assert (mean - low, high - mean) == pytest.approx((half_width, half_width), rel=4e-3)


def test_restricted_mean_by_hand() -> None:
    # Hit at 2 of 4, one censored at 3, hit at 5 of 2, horizon 8: survival 1 to 2, 3/4 to 5, 3/8 to 8;
    # area 2 + 9/4 + 9/8 = 43/8. After 2 it is 27/8, after 5 it is 9/8:
    # (27/8)^2 * 1 / (4 * 3) + (9/8)^2 * 1 / (2 * 1) = 1.58203, times 4/3.
    mean, low, high = restricted_mean([2, 3, 5, 8], [True, False, True, False], 8)
    assert mean == pytest.approx(43 / 8)
    assert mean - low == pytest.approx(stats.t.ppf(0.975, 3) * math.sqrt(1.58203125 * 4 / 3))
    assert high == 8  # cut: a mean within the horizon is within it


def test_watched_to_the_horizon_it_is_students_interval() -> None:
    times, horizon = [100, 250, 250, 400, 900, 700], 600
    mean, low, high = restricted_mean(times, [True, True, True, True, True, False], horizon)
    values = np.minimum(times, horizon)
    expected = stats.t.interval(0.95, 5, loc=values.mean(), scale=stats.sem(values))
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx(expected)


def test_runs_that_are_all_alike_still_have_an_interval() -> None:
    share = 1 - 0.05**0.2  # the most that 5 runs do not show
    assert unseen(5) == pytest.approx(share)
    assert restricted_mean([10] * 5, [False] * 5, 10) == pytest.approx((10, 10 * (1 - share), 10))
    assert restricted_mean([4] * 5, [True] * 5, 10) == pytest.approx((4, 4 * (1 - share), 4 + 6 * share))
    assert restricted_mean([4], [True], 10) == pytest.approx((4, 4 * 0.05, 4 + 6 * 0.95))


def test_unseen_is_the_rule_of_three() -> None:
    assert unseen(100) == pytest.approx(3 / 100, rel=0.02)


def test_median_of_the_leukaemia_data() -> None:
    # Klein & Moeschberger 2003, section 4.5: 23 weeks; Kleinbaum & Klein 2012, p. 66: 8 weeks under placebo
    assert median_time(DRUG, RELAPSED) == 23
    assert median_time(PLACEBO, ALL) == 8


def test_median_is_infinite_where_fewer_than_half_got_there() -> None:
    assert median_time([1, 2, 9, 9, 9], [True, True, False, False, False]) == math.inf
    for runs in range(2, 40, 2):  # exactly half did, whatever 1/2 is as a product of fractions
        half = runs // 2
        times = [*range(1, half + 1), *[99] * half]
        assert median_time(times, [True] * half + [False] * half) == half


def test_log_rank_agrees_with_the_published_test() -> None:
    # Published: chi square 16.79, p = 4e-5; none of 9999 splits is as extreme.
    assert log_rank(DRUG, RELAPSED, PLACEBO, ALL) == pytest.approx(1e-4)


def test_log_rank_agrees_with_the_normal_approximation_where_runs_are_many() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.exponential(1.0, 100), generator.exponential(1.3, 80)
    sides = [(np.minimum(times, 1.5), times <= 1.5) for times in (a, b)]
    censored = [stats.CensoredData.right_censored(times, ~reached) for times, reached in sides]
    assert log_rank(*sides[0], *sides[1]) == pytest.approx(stats.logrank(*censored).pvalue, abs=0.02)


def test_log_rank_by_hand() -> None:
    # All of a before all of b, 3 runs each: of the 20 splits, this one and its mirror are as extreme.
    assert log_rank([1, 2, 3], [True] * 3, [4, 5, 6], [True] * 3) == pytest.approx(2 / 20)


def test_log_rank_is_a_permutation_test_of_its_statistic() -> None:
    """Against the textbook's numerator, observed less expected hits at each time, in every split of the runs."""
    times = np.array([3.0, 8, 5, 9, 2, 9, 7, 5])
    reached = times < 9

    def numerator(split: tuple[int, ...]) -> float:
        is_a = np.isin(np.arange(8), split)
        return sum(
            (is_a & reached & (times == at)).sum()
            - (reached & (times == at)).sum() * (is_a & (times >= at)).sum() / (times >= at).sum()
            for at in np.unique(times[reached])
        )

    splits = list(combinations(range(8), 3))
    for side in splits[::11]:
        extreme = [abs(numerator(split)) >= abs(numerator(side)) - 1e-12 for split in splits]
        is_a = np.isin(np.arange(8), side)
        assert log_rank(times[is_a], reached[is_a], times[~is_a], reached[~is_a]) == pytest.approx(np.mean(extreme))


def test_the_faster_side_is_that_of_more_hits_than_expected() -> None:
    assert is_faster(DRUG, RELAPSED, PLACEBO, ALL) is False  # to relapse
    assert is_faster(PLACEBO, ALL, DRUG, RELAPSED) is True
    # by hand: of 2 + 2 runs, hits at 1 (a), 2 (b), 3 (b), 4 (a); expected of a are 1/2 + 1/3 + 1/2 + 1 > 2
    assert is_faster([1, 4], [True, True], [2, 3], [True, True]) is False


def test_log_rank_has_no_side() -> None:
    assert log_rank([1, 5, 9], [True, True, False], [3, 4, 9, 9], [True, True, False, False]) == pytest.approx(
        log_rank([3, 4, 9, 9], [True, True, False, False], [1, 5, 9], [True, True, False])
    )


@pytest.mark.parametrize("reached", [False, True])
@pytest.mark.parametrize("runs", [1, 5, 30])
def test_log_rank_of_two_sides_alike_is_one(runs: int, reached: bool) -> None:
    assert log_rank([5] * runs, [reached] * runs, [5] * runs, [reached] * runs) == 1


def test_where_the_last_run_was_watched_less_long_the_curve_continues_flat() -> None:
    """One of two hit at 2, the other was last seen at 3: survival is 1 to 2, then 1/2 to the horizon."""
    mean, _, _ = restricted_mean([2, 3], [True, False], 8)
    assert mean == pytest.approx(2 + 6 / 2)


def test_a_hit_after_the_horizon_is_none() -> None:
    times, horizon = [2, 5, 9, 9.5], 6
    assert restricted_mean(times, [True] * 4, horizon) == restricted_mean(times, [True, True, False, False], horizon)


def test_of_two_sides_alike_neither_is_faster() -> None:
    for times in ([5], [1, 2, 3], [3, 7, 7, 11]):
        runs = times, [True] * len(times)
        assert not is_faster(*runs, *runs)
