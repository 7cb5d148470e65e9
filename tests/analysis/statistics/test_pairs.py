"""Every two initializers, against SciPy, textbooks and hand computations."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from initbench.analysis.statistics.bootstrap import bootstrap_counts, percentiles, studentized
from initbench.analysis.statistics.pairs import against, compare, holm, improvements
from initbench.analysis.statistics.sign_flips import sign_flip
from initbench.analysis.statistics.student import simultaneous
from initbench.analysis.statistics.survival import unseen


def frame(**columns: list[float]) -> pd.DataFrame:
    """Scores of one workload, a list of seeds for each initializer."""
    n = len(next(iter(columns.values())))
    return pd.DataFrame(columns, pd.MultiIndex.from_product([["w"], range(n)], names=["workload", "seed"]))


def random(workloads: str, seeds: int, inits: str, seed: int = 0) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([list(workloads), range(seeds)], names=["workload", "seed"])
    return pd.DataFrame(np.random.default_rng(seed).random((len(index), len(inits))), index, columns=list(inits))


def test_a_pair_by_hand() -> None:
    table = compare(frame(low=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], high=[0.3, 0.3, 0.4, 0.6, 0.7, 0.8]))
    (row,) = table.to_dict("records")
    differences = np.array([2, 1, 1, 2, 2, 2]) / 10
    assert (row["a"], row["b"], row["pairs"]) == ("high", "low", 6)
    assert row["difference"] == pytest.approx(1 / 6)
    assert row["p"] == row["p_holm"] == 2 / 64
    assert (row["low"], row["high"]) == pytest.approx(
        stats.t.interval(0.95, 5, loc=differences.mean(), scale=stats.sem(differences))
    )
    assert row["p_skew"] == studentized(differences[:, None]).p()[0]
    assert math.isnan(row["p_equal"])


def test_equality_within_a_margin_is_two_one_sided_tests() -> None:
    scores = random("w", 9, "ab")
    (row,) = compare(scores, margin=0.4).to_dict("records")
    differences = (scores["a"] - scores["b"]).to_numpy()
    one_sided = sign_flip(differences + 0.4, "greater"), sign_flip(differences - 0.4, "less")
    assert row["p_equal"] == row["p_equal_holm"] == max(one_sided)
    close = frame(a=[0.5, 0.51, 0.52, 0.5, 0.49, 0.5], b=[0.51, 0.5, 0.52, 0.49, 0.5, 0.5])
    assert compare(close, margin=0.05)["p_equal"].tolist() == [1 / 64]
    assert compare(close, margin=0.001)["p_equal"][0] > 0.3


def test_intervals_hold_for_all_pairs_at_once() -> None:
    """Student's t at 5 % divided by the number of pairs."""
    scores = random("w", 7, "abcd")
    (row,) = compare(scores).query("a in ['a', 'c'] and b in ['a', 'c']").to_dict("records")
    differences = (scores[row["a"]] - scores[row["b"]]).to_numpy()
    reach = stats.t.ppf(1 - 0.05 / 6 / 2, 6) * stats.sem(differences)
    assert (row["low"], row["high"]) == pytest.approx((differences.mean() - reach, differences.mean() + reach))
    (fewer,) = compare(scores, comparisons=3).query("a in ['a', 'c'] and b in ['a', 'c']").to_dict("records")
    reach = stats.t.ppf(1 - 0.05 / 3 / 2, 6) * stats.sem(differences)
    assert fewer["high"] == pytest.approx(differences.mean() + reach)


def test_over_several_workloads_a_seed_is_one_observation() -> None:
    """Everything is that of the seeds' means over workloads."""
    scores = random("vwx", 8, "ab")
    (row,) = compare(scores, margin=0.3).to_dict("records")
    (same,) = compare(
        random("w", 8, "ab").assign(**{i: scores[i].groupby("seed").mean().to_numpy() for i in "ab"}), 0.3
    ).to_dict("records")
    assert (row.pop("pairs"), row["seeds"], same.pop("pairs")) == (24, 8, 8)
    assert {key: value for key, value in row.items() if key not in "ab"} == pytest.approx(
        {key: value for key, value in same.items() if key not in "ab"}
    )


def test_seeds_that_no_two_workloads_share_are_each_an_observation() -> None:
    scores = random("vw", 12, "ab")
    seeds = scores.index.get_level_values("seed")
    apart = scores[(scores.index.get_level_values("workload") == "v") == (seeds < 4)]  # 4 of v, 8 of w
    (row,) = compare(apart).to_dict("records")
    assert (row["pairs"], row["seeds"]) == (12, 12)
    d = (apart[row["a"]] - apart[row["b"]]).to_numpy()
    assert row["difference"] == pytest.approx((d[:4].mean() + d[4:].mean()) / 2)
    assert row["p"] == sign_flip(np.r_[d[:4] / 8, d[4:] / 16])


def test_differences_that_cancel_on_paper_are_none() -> None:
    """0.3 - 0.1 and 0.2 - 0.4 add up to 5e-17, the same in every seed, which would be significant."""
    scores = random("vw", 8, "ab").assign(a=np.repeat([0.3, 0.2], 8), b=np.repeat([0.1, 0.4], 8))
    (row,) = compare(scores).to_dict("records")
    assert (row["difference"], row["p"], row["p_skew"]) == (0, 1, 1)


def test_small_scores_differ_as_large_ones_do() -> None:
    scores = random("w", 8, "abc")
    for factor in (1e-14, 1e14):
        p = compare(factor * scores)[["p", "p_skew"]]
        pd.testing.assert_frame_equal(p, compare(scores)[["p", "p_skew"]])


def test_intervals_need_two_seeds_and_some_spread() -> None:
    assert np.isnan(simultaneous(np.array([[0.1]]), 1)).all()
    assert np.isnan(simultaneous(np.full((5, 1), 0.1), 1)).all()


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


def test_blocks_that_both_have_are_compared() -> None:
    nan = math.nan
    scores = frame(a=[0.5, 0.6, nan, nan], b=[0.4, nan, 0.9, nan], c=[nan, nan, nan, 0.5])
    table = compare(scores).set_index(["a", "b"])
    assert table.index.tolist() == [("a", "b"), ("a", "c"), ("b", "c")]
    assert table["pairs"].tolist() == [1, 0, 0]
    assert table.loc[("a", "b"), "difference"] == pytest.approx(0.1)
    assert table.loc[("a", "b"), "p_holm"] == 1  # the only test: Holm multiplies by 1
    assert table.loc[("a", "c")].drop(["pairs", "seeds"]).isna().all()
    assert table[["low", "high", "p_skew"]].isna().all(axis=None)


def test_pairs_with_gaps_are_as_if_alone() -> None:
    scores = random("vw", 8, "abc")
    scores.loc[("v", 2), "b"] = math.nan
    table = compare(scores, comparisons=1)
    for row in table.to_dict("records"):
        alone = compare(scores[[row["a"], row["b"]]], comparisons=1).iloc[0]
        for column in ("difference", "low", "high", "p", "p_skew"):
            assert row[column] == pytest.approx(alone[column])


def test_the_order_of_blocks_does_not_matter() -> None:
    scores = random("vw", 6, "abc")
    scores.iloc[3, 1] = math.nan
    by_seed = scores.sort_index(level="seed", sort_remaining=False)
    assert by_seed.index.tolist() != scores.index.tolist()
    pd.testing.assert_frame_equal(compare(by_seed), compare(scores))


def test_one_initializer_has_no_pairs() -> None:
    table = compare(frame(a=[0.5, 0.6]))
    assert table.empty
    assert table.columns[:2].tolist() == ["a", "b"]


def test_initializers_alike() -> None:
    row = compare(frame(a=[0.1] * 10, b=[0.1] * 10), margin=0.01).iloc[0]
    assert row[["difference", "p", "p_skew"]].tolist() == [0, 1, 1]
    assert row["p_equal"] == 1 / 1024


def test_the_exact_p_of_chosen_rates_takes_the_place_of_the_flips() -> None:
    scores = random("w", 8, "abc")
    table = compare(scores, swapped={frozenset("ab"): 0.012}).set_index(["a", "b"])
    found = {frozenset(pair): row["p"] for pair, row in table.iterrows()}
    assert found.pop(frozenset("ab")) == 0.012
    plain = {frozenset(pair): row["p"] for pair, row in compare(scores).set_index(["a", "b"]).iterrows()}
    assert found.items() <= plain.items()


def test_all_pairs_of_all_initializers_are_seconds() -> None:
    """46 initializers have 1035 pairs; the patterns of flips and the bootstrap's draws are shared."""
    table = compare(random("w", 10, "".join(map(chr, range(65, 111)))))
    assert len(table) == 1035
    assert table.drop(columns=["p_equal", "p_equal_holm"]).notna().all(axis=None)
    assert (table["difference"] >= 0).all()
    assert bootstrap_counts.cache_info().currsize <= 8


def test_a_lead_is_a_deficit_seen_from_the_other_side() -> None:
    pairs = compare(frame(a=[0.9, 0.8, 0.95], b=[0.8, 0.75, 0.8]))
    lead, deficit = against(pairs, "a").loc["b"], against(pairs, "b").loc["a"]
    assert lead["difference"] == -deficit["difference"] > 0
    assert (lead["low"], lead["high"]) == (-deficit["high"], -deficit["low"])


def test_improvement_by_hand() -> None:
    # Each of high's six runs against the 5 other seeds of low, by hand (a tie is half): 0.3 beats 0.2 and ties with
    # 0.3: 1.5; 0.3 beats 0.1 and ties: 1.5; 0.4 beats 0.1, 0.2 and ties: 2.5; 0.6 beats 0.1 to 0.3, 0.5 and ties: 4.5;
    # 0.7 beats all 5, as does 0.8: 20 of 30.
    scores = frame(low=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], high=[0.3, 0.3, 0.4, 0.6, 0.7, 0.8])
    share, low, high = improvements(scores, [("high", "low")])["high", "low"]
    assert share == pytest.approx(20 / 30)
    assert 0 < low < share < high <= 1


def test_improvement_is_mann_whitneys_and_averages_workloads() -> None:
    scores = random("vw", 8, "ab").add([0.2, 0]).round(1)
    shares = []
    for workload in ("v", "w"):
        a, b = (scores.loc[workload, init].to_numpy() for init in "ab")
        same = (a > b).sum() + (a == b).sum() / 2  # Mann and Whitney's U counts all pairs, ours those of other seeds
        shares.append((stats.mannwhitneyu(a, b).statistic - same) / 56)
    assert improvements(scores, [("a", "b")])["a", "b"][0] == pytest.approx(np.mean(shares))


def test_improvement_interval_by_hand() -> None:
    a, b = [0.5, 0.7, 0.6, 0.9, 0.8, 0.3], [0.55, 0.3, 0.65, 0.2, 0.8, 0.5]  # with ties, one of the same seed
    resampled = []
    for counts in bootstrap_counts((6,)).astype(int):
        drawn = np.repeat(np.arange(6), counts)
        pairs = [(i, j) for i in drawn for j in drawn if i != j]
        resampled.append(np.mean([(np.sign(a[i] - b[j]) + 1) / 2 for i, j in pairs]) if pairs else 0.5)
    expected = percentiles(np.array(resampled), (6,), 0.95)
    assert improvements(frame(a=a, b=b), [("a", "b")])["a", "b"][1:] == pytest.approx(expected)


def test_improvement_that_never_failed_is_not_certain() -> None:
    scores = frame(a=[0.9, 0.8, 0.85, 0.95, 0.9], b=[0.1, 0.2, 0.15, 0.05, 0.1])
    assert improvements(scores, [("a", "b")])["a", "b"] == pytest.approx((1, 1 - unseen(5), 1))
    same = frame(a=[0.1] * 10, b=[0.1] * 10)
    assert improvements(same, [("a", "b")])["a", "b"][:2] == pytest.approx((0.5, 0.5 * (1 - unseen(10))))


def test_improvements_of_several_pairs_are_each_by_itself() -> None:
    scores = random("vw", 6, "abc").round(1)
    scores.iloc[0, 1] = math.nan  # b has other seeds than a and c
    pairs = [("a", "b"), ("c", "a"), ("b", "c")]
    alone = {pair: improvements(scores[list(pair)], [pair])[pair] for pair in pairs}
    assert improvements(scores, pairs) == alone
    assert len({share for share, _, _ in alone.values()}) == 3


def test_improvement_needs_two_seeds() -> None:
    assert all(map(math.isnan, improvements(frame(a=[0.1], b=[0.2]), [("a", "b")])["a", "b"]))


@pytest.mark.parametrize("seeds_of_v", [4, 8])
def test_equality_at_the_margin_itself_is_not_shown_and_just_below_it_is(seeds_of_v: int) -> None:
    """Where a difference is the same in every run, seeds that only one workload has weigh less, on both sides alike."""
    blocks = [*(("v", seed) for seed in range(seeds_of_v)), *(("w", seed) for seed in range(8))]
    index = pd.MultiIndex.from_tuples(blocks, names=["workload", "seed"])
    scores = pd.DataFrame({"a": 0.5, "b": 0.25}, index)
    assert compare(scores, margin=0.25)["p_equal"].tolist() == [1.0]
    assert compare(scores, margin=0.26)["p_equal"].tolist() == [0.5**8]
    assert compare(-scores, margin=0.26)["p_equal"].tolist() == [0.5**8]
