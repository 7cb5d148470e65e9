"""Paired comparisons against SciPy, textbooks and hand computations."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from initbench.analysis import paired
from initbench.analysis.paired import (
    EXACT_UP_TO,
    blocks_needed,
    bootstrap_counts,
    compare,
    holm,
    interval,
    percentiles,
    quantiles,
    sign_flip,
)
from initbench.analysis.survival import unseen

# Heights of cross- less self-fertilized plants, in eighths of an inch: Darwin 1876, in Fisher 1935, section 21
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def frame(**columns: list[float]) -> pd.DataFrame:
    """Scores of one task, a list of seeds for each initializer."""
    n = len(next(iter(columns.values())))
    return pd.DataFrame(columns, pd.MultiIndex.from_product([["t"], range(n)], names=["task", "seed"]))


def test_sign_flip_of_darwins_plants() -> None:
    # Fisher 1935, section 21: of the 2^15 sums, 863 are at least as large as the observed 314, on either side.
    assert sign_flip(DARWIN, ["plants"] * 15) == pytest.approx(2 * 863 / 2**15)


def test_sign_flip_agrees_with_scipy() -> None:
    generator = np.random.default_rng(0)
    for n in (4, 7, 10):
        differences = generator.normal(0.3, 1, n)
        test = stats.permutation_test(
            (differences, np.zeros(n)), lambda a, b: np.mean(a - b), permutation_type="samples", n_resamples=2**n
        )
        assert sign_flip(differences, np.zeros(n)) == pytest.approx(test.pvalue)


def test_sign_flip_weighs_tasks_alike() -> None:
    # Task x: mean 0.3 of one seed; task y: mean of 0.1, 0.1, -0.1. Sums of +-9 +-1 +-1 +-1, in 1/60: the observed 10
    # and its like (10 three times, 12 once), of 16, and as many below.
    assert sign_flip([0.1, 0.3, 0.1, -0.1], ["y", "x", "y", "y"]) == pytest.approx(2 * 4 / 16)


def test_sign_flip_of_several_tasks_spelled_out() -> None:
    generator = np.random.default_rng(1)
    differences, tasks = generator.normal(size=9), np.array([0, 0, 0, 0, 0, 1, 1, 2, 2])

    def statistic(values: np.ndarray) -> float:
        groups = [values[tasks == task] for task in range(3)]
        error = math.sqrt(sum(group.var(ddof=1) / group.size for group in groups)) / 3
        return abs(np.mean([group.mean() for group in groups])) / error

    extreme = [statistic(differences * signs) >= statistic(differences) - 1e-9 for signs in product((-1, 1), repeat=9)]
    assert sign_flip(differences, tasks) == pytest.approx(np.mean(extreme))


def test_tasks_that_disagree_steadily_are_no_luck() -> None:
    """Every seed of one task lost by about 10 points, every one of another won by about 30: the mean is 10, surely."""
    noise = 0.01 * np.random.default_rng(0).normal(size=16)
    differences, tasks = np.repeat([-0.1, 0.3], 8) + noise, np.repeat([0, 1], 8)
    assert sign_flip(differences, tasks) <= 4 / 2**16  # the observed flip, its mirror; both of the larger mean, 20
    low, high = interval(differences, tasks)
    assert 0.08 < low < 0.1 < high < 0.12
    # And where they cancel, nothing is found.
    assert sign_flip(np.repeat([-0.2, 0.2], 8) + noise, tasks) > 0.05


def test_differences_without_spread_are_compared_by_their_mean() -> None:
    # Flips of whole tasks have no spread either: +-1 +-3 is as extreme as 4 twice, of 2^6.
    assert sign_flip([0.1, 0.1, 0.1, 0.3, 0.3, 0.3], [0, 0, 0, 1, 1, 1]) == 2 / 64


def test_sums_that_tie_on_paper_tie() -> None:
    # 0.1 + 0.2 - 0.3 is not 0 in floating point. All of one sign: 2 of 8 are as extreme.
    assert sign_flip([0.1, 0.2, 0.3], [0] * 3) == 2 / 8
    assert sign_flip([0.1, 0.2, -0.3], [0] * 3) == 1
    # +-1 ten times, 9 of them up: sums of 8 or 10, 11 of 1024 on either side; in units that do not add up exactly
    assert sign_flip(np.array([1] * 9 + [-1]) * 0.0037 / 7, [0] * 10) == 22 / 1024


def test_zeros_do_not_matter() -> None:
    assert sign_flip([0.0] * 40, [0] * 40) == 1
    assert sign_flip([], []) == 1
    assert sign_flip([*DARWIN, *[0] * 20], [0] * 35) == sign_flip(DARWIN, [0] * 15)


@pytest.mark.parametrize("n", [1, 2, 5, EXACT_UP_TO])
def test_one_sign_gives_the_smallest_p(n: int) -> None:
    assert sign_flip(np.arange(1, n + 1), [0] * n) == 2 / 2**n


@pytest.mark.parametrize("sizes", [(15,), (5, 5, 5), (13, 2)])
def test_random_flips_agree_with_all_of_them(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = np.repeat(range(len(sizes)), sizes)
    differences = np.random.default_rng(2).normal(0.4, 1, tasks.size)
    exact = sign_flip(differences, tasks)
    monkeypatch.setattr(paired, "EXACT_UP_TO", 0)
    assert 0.01 < exact < 0.5
    assert sign_flip(differences, tasks) == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 99_999))


def test_random_flips_never_give_zero() -> None:
    assert sign_flip(np.ones(60), [0] * 60) == 1 / 100_000


def test_interval_by_hand() -> None:
    """The bootstrap-t of one task, spelled out resample by resample."""
    differences = np.array([0.01, 0.03, -0.02, 0.05, 0.04, 0.02])
    mean, error = differences.mean(), stats.sem(differences)
    studentized = []
    for counts in bootstrap_counts((6,)).astype(int):
        resample = np.repeat(differences, counts)
        shift = resample.mean() - mean
        spread = 0.0 if np.count_nonzero(counts) == 1 else resample.std(ddof=1) / math.sqrt(6)
        studentized.append(shift / spread if spread else math.copysign(math.inf, shift))
    studentized.sort()
    # 10,000 spaces between 9,999 values: 250 below the 250th
    expected = mean - studentized[-250] * error, mean - studentized[249] * error
    assert interval(differences, [0] * 6) == pytest.approx(expected)


def test_interval_is_students_where_seeds_are_many() -> None:
    differences = np.random.default_rng(0).normal(0.1, 0.1, 300)
    expected = stats.t.interval(0.95, 299, loc=differences.mean(), scale=stats.sem(differences))
    assert interval(differences, [0] * 300) == pytest.approx(expected, abs=0.1 * stats.sem(differences))


def test_interval_of_several_tasks_is_of_the_mean_of_their_means() -> None:
    # Tasks far apart: their distance is no error, since the tasks are given.
    generator = np.random.default_rng(0)
    easy, hard = generator.normal(0.0, 0.01, 50), generator.normal(0.8, 0.02, 100)
    low, high = interval([*hard, *easy], ["hard"] * 100 + ["easy"] * 50)
    mean, error = (easy.mean() + hard.mean()) / 2, math.hypot(stats.sem(easy), stats.sem(hard)) / 2
    assert (low, high) == pytest.approx((mean - 1.98 * error, mean + 1.98 * error), abs=0.15 * error)


def test_interval_has_the_sign_of_the_differences() -> None:
    low, high = interval(DARWIN_SHARES, [0] * 15)
    minus_low, minus_high = interval(-DARWIN_SHARES, [0] * 15)
    assert low < DARWIN_SHARES.mean() < high
    assert (minus_high, minus_low) == pytest.approx((-low, -high), abs=1e-12)


DARWIN_SHARES = np.array(DARWIN) / 1000


def test_interval_needs_seeds() -> None:
    assert all(map(math.isnan, interval([], [])))
    assert all(map(math.isnan, interval([0.1, 0.2, 0.3, 0.4], [0] * 4)))
    assert all(map(math.isnan, interval([0.1, 0.2, 0.3, 0.4, 0.2], [0, 0, 0, 1, 1])))
    assert not any(map(math.isnan, interval([0.1, 0.2, 0.3, 0.4, 0.2], [0] * 5)))
    assert not any(map(math.isnan, interval([0.1, 0.2, 0.3, 0.4, 0.2, 0.5], [0, 0, 0, 1, 1, 1])))


def test_interval_of_differences_all_the_same() -> None:
    share = unseen(10)
    assert interval([0.0] * 10, [0] * 10) == pytest.approx((-share, share))
    assert interval([0.1] * 10, [0] * 10) == pytest.approx((0.1 - 1.1 * share, 0.1 + 0.9 * share))


def test_too_many_resamples_without_variance_end_at_the_bounds() -> None:
    # (5/6)^6 = 33 % of the resamples miss the only difference: all of them lie below the mean.
    low, high = interval([0, 0, 0, 0, 0, 0.1], [0] * 6)
    assert high == 1
    assert -1 < low <= 0


def test_holm_by_hand() -> None:
    # 4 * 0.005, 3 * 0.01, 2 * 0.03, 1 * 0.04 -> at least the one before
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]).tolist() == [1, 1]
    assert holm([]).tolist() == []


def test_holm_leaves_missing_tests_out() -> None:
    adjusted = holm([math.nan, 0.02, math.nan, 0.01])
    assert np.isnan(adjusted).tolist() == [True, False, True, False]
    assert adjusted[[1, 3]] == pytest.approx([0.02, 0.02])


def test_holm_keeps_the_order_and_only_adds() -> None:
    p = np.random.default_rng(0).random(50) ** 3
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


@pytest.mark.parametrize("comparisons", [1, 10, 1035])
@pytest.mark.parametrize("alpha", [0.01, 0.05, 1 / 16])
def test_blocks_needed_are_just_enough(comparisons: int, alpha: float) -> None:
    n = blocks_needed(comparisons, alpha)
    best, next_best = ([sign_flip(np.ones(k), [0] * k), *[1.0] * (comparisons - 1)] for k in (n, n - 1))
    assert holm(best)[0] < alpha <= holm(next_best)[0]


def test_blocks_needed_by_hand() -> None:
    assert blocks_needed(1) == 6  # 2 / 2^5 = 0.0625, 2 / 2^6 = 0.031
    assert blocks_needed(1, alpha=1 / 16) == 6  # 2 / 2^5 is not below


def test_compare_by_hand() -> None:
    table = compare(frame(low=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], high=[0.3, 0.3, 0.4, 0.6, 0.7, 0.8]))
    (row,) = table.to_dict("records")
    assert (row["a"], row["b"], row["pairs"]) == ("high", "low", 6)
    assert row["difference"] == pytest.approx(1 / 6)  # of 0.2, 0.1, 0.1, 0.2, 0.2, 0.2
    assert row["p"] == row["p_holm"] == 2 / 64
    assert (row["low"], row["high"]) == pytest.approx(interval(np.array([2, 1, 1, 2, 2, 2]) / 10, [0] * 6))
    # Of the 5 other seeds of low, high's six runs beat 1, 2 (a tie is half), ... by hand: 0.3 beats 0.2 and ties with
    # 0.3: 1.5; 0.3 beats 0.1 and ties: 1.5; 0.4 beats 0.1, 0.2 and ties: 2.5; 0.6 beats 0.1 to 0.3, 0.5 and ties: 4.5;
    # 0.7 beats all 5, as does 0.8: 20 of 30.
    assert row["improvement"] == pytest.approx(20 / 30)
    assert 0 < row["improvement_low"] < 20 / 30 < row["improvement_high"] <= 1


def test_improvement_is_mann_whitneys_and_averages_tasks() -> None:
    generator = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["s", "t"], range(8)], names=["task", "seed"])
    scores = pd.DataFrame({"a": generator.random(16).round(1) + 0.2, "b": generator.random(16).round(1)}, index)
    shares = []
    for task in ("s", "t"):
        a, b = (scores.loc[task, init].to_numpy() for init in "ab")
        same = (a > b).sum() + (a == b).sum() / 2  # Mann and Whitney's U counts all pairs, ours those of other seeds
        shares.append((stats.mannwhitneyu(a, b).statistic - same) / 56)
    assert compare(scores)["improvement"][0] == pytest.approx(np.mean(shares))


def test_improvement_interval_by_hand() -> None:
    a, b = [0.5, 0.7, 0.6, 0.9, 0.8, 0.4], [0.55, 0.3, 0.65, 0.2, 0.75, 0.45]
    resampled = []
    for counts in bootstrap_counts((6,)).astype(int):
        drawn = np.repeat(np.arange(6), counts)
        pairs = [(i, j) for i in drawn for j in drawn if i != j]
        resampled.append(np.mean([a[i] > b[j] for i, j in pairs]) if pairs else 0.5)
    row = compare(frame(a=a, b=b)).iloc[0]
    expected = percentiles(np.array(resampled), (6,), 0.95)
    assert (row["improvement_low"], row["improvement_high"]) == pytest.approx(expected)


def test_improvement_that_never_failed_is_not_certain() -> None:
    row = compare(frame(a=[0.9, 0.8, 0.85, 0.95, 0.9], b=[0.1, 0.2, 0.15, 0.05, 0.1])).iloc[0]
    assert row[["improvement", "improvement_low", "improvement_high"]].tolist() == pytest.approx([1, 1 - unseen(5), 1])


def test_compare_takes_the_blocks_that_both_have() -> None:
    nan = math.nan
    scores = frame(a=[0.5, 0.6, nan, nan], b=[0.4, nan, 0.9, nan], c=[nan, nan, nan, 0.5])
    table = compare(scores).set_index(["a", "b"])
    assert table.index.tolist() == [("a", "b"), ("a", "c"), ("b", "c")]
    assert table["pairs"].tolist() == [1, 0, 0]
    assert table.loc[("a", "b"), "difference"] == pytest.approx(0.1)
    assert table.loc[("a", "b"), "p_holm"] == 1  # the only test: Holm multiplies by 1
    assert table.loc[("a", "c")].drop("pairs").isna().all()
    assert table[["low", "high", "improvement"]].isna().all(axis=None)  # one seed has no other


def test_compare_does_not_care_about_the_order_of_blocks() -> None:
    generator = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["s", "t"], range(6)], names=["task", "seed"])
    scores = pd.DataFrame(generator.random((12, 3)), index, columns=list("abc"))
    scores.iloc[3, 1] = math.nan
    by_seed = scores.sort_index(level="seed", sort_remaining=False)
    assert by_seed.index.tolist() != scores.index.tolist()
    pd.testing.assert_frame_equal(compare(by_seed), compare(scores))


def test_compare_of_one_initializer_is_empty() -> None:
    table = compare(frame(a=[0.5, 0.6]))
    assert table.empty
    assert table.columns[:2].tolist() == ["a", "b"]


def test_compare_initializers_alike() -> None:
    row = compare(frame(a=[0.1] * 10, b=[0.1] * 10)).iloc[0]
    assert row[["difference", "p", "improvement"]].tolist() == [0, 1, 0.5]
    assert row["low"] == -row["high"] < 0
    assert row["improvement_low"] == pytest.approx(0.5 * (1 - unseen(10)))


def test_all_pairs_of_all_initializers_are_seconds() -> None:
    """The bootstrap's draws are shared: 46 initializers have 1035 pairs."""
    index = pd.MultiIndex.from_product([["t"], range(10)], names=["task", "seed"])
    table = compare(pd.DataFrame(np.random.default_rng(0).random((10, 46)), index))
    assert len(table) == 1035
    assert table.notna().all(axis=None)
    assert (table["difference"] >= 0).all()
    assert bootstrap_counts.cache_info().currsize <= 8


def test_resamples_are_stratified_and_unbiased() -> None:
    counts = bootstrap_counts((3, 5))
    assert (counts[:, :3].sum(axis=1) == 3).all()
    assert (counts[:, 3:].sum(axis=1) == 5).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(8), abs=4 / math.sqrt(len(counts)))


def test_expanded_percentiles_by_hand() -> None:
    # 10 seeds of one task: Student's 2.262 with 9 degrees of freedom, times sqrt(10 / 9), is the normal's 0.86 %.
    values = np.arange(1.0, 10_000.0)
    tail = stats.norm.cdf(math.sqrt(10 / 9) * stats.t.ppf(0.025, 9))
    assert tail == pytest.approx(0.0086, abs=5e-5)
    assert percentiles(values, (10,), 0.95) == (round(tail * 10_000), 10_000 - round(tail * 10_000))


def test_quantiles_leave_infinities_alone() -> None:
    values = np.array([math.inf, 1, 2, -math.inf, 3, math.inf, -math.inf, 4, 5])
    assert quantiles(values, 0.1) == (-math.inf, math.inf)
    assert quantiles(values, 0.3) == (1, 5)
