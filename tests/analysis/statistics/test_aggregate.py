"""Aggregates over workloads against published examples, SciPy and hand computations."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from initbench.analysis.statistics.aggregate import average_ranks, interquartile_mean, performance_profile, share_best
from initbench.analysis.statistics.bootstrap import bootstrap_counts, percentiles

# Area under the curve of four versions of C4.5 on 14 data sets: Demsar 2006, table 6. On the last but one, the paper's
# ranks put the third version ahead of the fourth, though three decimals tie: hence 0.97501.
DEMSAR = [
    [0.763, 0.768, 0.771, 0.798],
    [0.599, 0.591, 0.590, 0.569],
    [0.954, 0.971, 0.968, 0.967],
    [0.628, 0.661, 0.654, 0.657],
    [0.882, 0.888, 0.886, 0.898],
    [0.936, 0.931, 0.916, 0.931],
    [0.661, 0.668, 0.609, 0.685],
    [0.583, 0.583, 0.563, 0.625],
    [0.775, 0.838, 0.866, 0.875],
    [1.000, 1.000, 1.000, 1.000],
    [0.940, 0.962, 0.965, 0.962],
    [0.619, 0.666, 0.614, 0.669],
    [0.972, 0.981, 0.97501, 0.975],
    [0.957, 0.978, 0.946, 0.970],
]


def frame(values: object, workloads: int, inits: str) -> pd.DataFrame:
    """Scores of so many workloads of equally many seeds, (blocks, initializers)."""
    values = np.asarray(values, dtype=float).reshape(-1, len(inits))
    index = pd.MultiIndex.from_product([range(workloads), range(len(values) // workloads)], names=["workload", "seed"])
    return pd.DataFrame(values, index, columns=list(inits))


def test_interquartile_mean_by_hand() -> None:
    # With 8 values the 2 lowest and the 2 highest go: 0.3, 0.4, 0.5, 0.6 stay. With 7 only one at either end goes.
    scores = frame([[v, v] for v in (0.9, 0.1, 0.3, 0.6, 0.5, 0.2, 0.4, 0.8)], 2, "ab")
    scores.loc[(0, 0), "b"] = math.nan
    table = interquartile_mean(scores)
    assert table.index.tolist() == ["a", "b"]
    assert table.index.name == "init"
    assert table["iqm"].tolist() == pytest.approx([0.45, (0.2 + 0.3 + 0.4 + 0.5 + 0.6) / 5])


@pytest.mark.parametrize("seeds", [3, 5, 8, 11])
def test_interquartile_mean_and_its_bootstrap_are_scipys(seeds: int) -> None:
    scores = frame(np.random.default_rng(seeds).random(2 * seeds).round(2), 2, "a")
    values = scores["a"].to_numpy()
    row = interquartile_mean(scores).loc["a"]
    assert row["iqm"] == pytest.approx(stats.trim_mean(values, 0.25))
    counts = bootstrap_counts((seeds, seeds)).astype(int)
    resamples = np.array([np.repeat(values, drawn) for drawn in counts])
    expected = percentiles(stats.trim_mean(resamples, 0.25, axis=1), (seeds, seeds), 0.95)
    assert (row["low"], row["high"]) == pytest.approx(expected)


def test_interquartile_mean_without_runs_or_with_few() -> None:
    scores = frame([[0.5, math.nan], [0.7, math.nan]], 2, "ab")
    table = interquartile_mean(scores)
    assert table.loc["a", "iqm"] == pytest.approx(0.6)
    assert table.loc["a", ["low", "high"]].isna().all()
    assert table.loc["b"].isna().all()


def test_interquartile_mean_does_not_care_about_the_order_of_blocks() -> None:
    scores = frame(np.random.default_rng(0).random((10, 2)), 2, "ab")
    pd.testing.assert_frame_equal(interquartile_mean(scores), interquartile_mean(scores.swaplevel().sort_index()))


def test_share_best_by_hand() -> None:
    """Ten seeds: a leads by 0.9 on one and is behind by 0.1 on nine, so it is first where that one is drawn at all."""
    share = share_best(frame([[0.9, 0.0]] + [[0.1, 0.2]] * 9, 1, "ab"))
    drawn_twice = 1 - 0.9**10 - 10 * 0.1 * 0.9**9  # drawn once, 0.9 and nine times 0.1 tie: a half
    assert share["a"] == pytest.approx(drawn_twice + 10 * 0.1 * 0.9**9 / 2, abs=4 * math.sqrt(0.25 / 9999))
    assert share.sum() == pytest.approx(1)


def test_share_best_pairs_the_seeds() -> None:
    # Seeds differ by more than the initializers do, yet b is better on each.
    a = np.random.default_rng(0).random(20)
    assert share_best(frame(np.column_stack([a, a + 0.001]), 2, "ab")).tolist() == [0, 1]


def test_share_best_counts_workloads_alike() -> None:
    # a leads by 0.2 on the workload with ten seeds, b by 0.1 on that with thirty: the mean over workloads is a's.
    scores = frame([[0.7, 0.5]] * 10 + [[0.5, 0.6]] * 30, 1, "ab")
    workloads = ["s"] * 10 + ["t"] * 30
    scores.index = pd.MultiIndex.from_arrays([workloads, range(40)], names=["workload", "seed"])
    assert share_best(scores).tolist() == [1, 0]


def test_share_best_shares_ties_and_takes_complete_blocks() -> None:
    # 0.1 + 0.2 and 0.3 differ in their last bit.
    shares = share_best(frame([[0.1 + 0.2, 0.3, 0.0]] * 10 + [[math.nan, 1.0, 1.0]], 1, "abc"))
    assert shares.tolist() == [0.5, 0.5, 0]


def test_share_best_takes_ten_seeds_of_every_workload() -> None:
    assert share_best(frame(np.random.default_rng(0).random((9, 2)), 1, "ab")).isna().all()
    assert share_best(frame(np.random.default_rng(0).random((18, 2)), 2, "ab")).isna().all()
    assert share_best(frame([[0.1, math.nan]], 1, "ab")).isna().all()


def test_average_ranks_of_demsars_example() -> None:
    # Demsar 2006, section 3.2.2: ranks 3.143, 2.000, 2.893, 1.964 (table 6), chi square 9.28 without correction for
    # ties, critical difference 2.569 * sqrt(4 * 5 / (6 * 14)) = 1.25.
    result = average_ranks(frame(DEMSAR, 1, "abcd"))
    assert result.ranks.index.tolist() == ["d", "b", "c", "a"]
    assert result.ranks.tolist() == pytest.approx([1.964, 2.000, 2.893, 3.143], abs=5e-4)
    assert 12 * 14 / 20 * (sum(rank**2 for rank in result.ranks) - 25) == pytest.approx(9.28, abs=5e-3)
    assert result.critical_difference == pytest.approx(1.25, abs=5e-3)
    assert result.critical_difference == pytest.approx(2.569 * math.sqrt(20 / 84), abs=5e-4)
    assert result.friedman_p == pytest.approx(stats.friedmanchisquare(*np.array(DEMSAR).T).pvalue)
    assert result.blocks == 14


def test_two_initializers_are_a_sign_test() -> None:
    # Wins 7, losses 2, one tie: chi square (7 - 2)^2 / 9 with one degree of freedom.
    scores = frame([[1, 0]] * 7 + [[0, 1]] * 2 + [[1, 1]], 1, "ab")
    result = average_ranks(scores)
    assert result.friedman_p == pytest.approx(stats.chi2.sf(25 / 9, 1))
    # Nemenyi for two is the normal's: 1.96 * sqrt(2 * 3 / (6 * 10))
    assert result.critical_difference == pytest.approx(1.959964 / math.sqrt(10), rel=1e-4)


def test_the_same_luck_on_several_workloads_is_no_evidence() -> None:
    values = np.random.default_rng(0).random((8, 3))
    once, thrice = average_ranks(frame(values, 1, "abc")), average_ranks(frame(np.tile(values, (3, 1)), 3, "abc"))
    pd.testing.assert_series_equal(thrice.ranks, once.ranks)
    assert (thrice.blocks, thrice.critical_difference) == (8, once.critical_difference)
    assert thrice.friedman_p == pytest.approx(once.friedman_p)


def test_average_ranks_takes_complete_blocks() -> None:
    values = np.random.default_rng(0).random((8, 3))
    with_gap = np.vstack([values, [math.nan, 0.1, 0.2]])
    complete, gap = average_ranks(frame(values, 1, "abc")), average_ranks(frame(with_gap, 1, "abc"))
    pd.testing.assert_series_equal(gap.ranks, complete.ranks)
    assert (gap.blocks, gap.friedman_p) == (8, complete.friedman_p)


def test_average_ranks_where_there_is_too_little() -> None:
    one_block = average_ranks(frame([[0.1, 0.3, 0.2]], 1, "abc"))
    assert one_block.ranks.to_dict() == {"b": 1, "c": 2, "a": 3}
    one_init = average_ranks(frame([0.1, 0.2], 1, "a"))
    assert one_init.ranks.to_dict() == {"a": 1}
    none = average_ranks(frame([[0.1, math.nan], [math.nan, 0.2]], 1, "ab"))
    assert none.ranks.isna().all()
    for result, blocks in ((one_block, 1), (one_init, 2), (none, 0)):
        assert math.isnan(result.critical_difference)
        assert math.isnan(result.friedman_p)
        assert result.blocks == blocks


def test_average_ranks_where_all_tie() -> None:
    result = average_ranks(frame([[0.5] * 3] * 4, 1, "abc"))
    assert result.ranks.tolist() == [2, 2, 2]
    assert result.friedman_p == 1


def test_performance_profile_by_hand() -> None:
    # Ratios to the workload's best: s 1, 2; t 3, 1; u never, 1; v nobody.
    times = pd.DataFrame(
        {"a": [10, 30, math.inf, math.inf], "b": [20, 10, 50, math.inf]},
        ["s", "t", "u", "v"],
    )
    profile = performance_profile(times)
    assert profile.index.name == "tau"
    assert profile.index.tolist() == [1, 2, 3]
    assert profile["a"].tolist() == [0.25, 0.25, 0.5]
    assert profile["b"].tolist() == [0.5, 0.75, 0.75]


def test_performance_profile_only_rises_and_ends_at_the_share_solved() -> None:
    generator = np.random.default_rng(0)
    times = pd.DataFrame(generator.exponential(size=(20, 5))).where(generator.random((20, 5)) < 0.7, math.inf)
    profile = performance_profile(times)
    assert (profile.diff().dropna() >= 0).all(axis=None)
    assert profile.iloc[-1].tolist() == pytest.approx(np.isfinite(times).mean().tolist())
    assert profile.iloc[0].sum() * 20 == pytest.approx(np.isfinite(times).any(axis=1).sum())  # one best per workload


def test_performance_profile_where_nothing_was_solved() -> None:
    for times in (pd.DataFrame({"a": [math.inf], "b": [math.nan]}), pd.DataFrame({"a": [], "b": []})):
        profile = performance_profile(times)
        assert profile.index.tolist() == [1]
        assert profile.iloc[0].tolist() == [0, 0]
