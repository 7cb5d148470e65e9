"""What a comparison shows: who won, who is better than whom, who is equal, and what is open."""

import math

import numpy as np
import pandas as pd
import pytest
from frames import frame, record

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.comparison.more_seeds import seeds_for
from initbench.analysis.statistics.pairs import compare, holm, improvements
from initbench.record.plans import Plan

NO_RUNS = pd.DataFrame(columns=["workload", "init", "lr", "seed", "selection_score", "is_tuning"])


def found(
    means: dict[str, float],
    seeds: int,
    noise: float = 0.01,
    workloads: int = 1,
    seed: int = 0,
    *,
    margin: float | None = None,
    reference: str | None = None,
    level: float = 0.05,
) -> Findings:
    names = [f"w{number}" for number in range(workloads)]
    index = pd.MultiIndex.from_product([names, range(seeds)], names=["workload", "seed"])
    values = np.array(list(means.values())) + noise * np.random.default_rng(seed).normal(size=(len(index), len(means)))
    return Findings(pd.DataFrame(values, index, columns=list(means)), NO_RUNS, margin, level, reference)


@pytest.mark.parametrize("inits", [2, 4, 8])
def test_six_seeds_name_a_winner_among_any_number(inits: int) -> None:
    """Holm over all pairs takes 6, 8 and 11."""
    means = {f"i{number}": 0.9 - 0.1 * number for number in range(inits)}
    six, five = found(means, 6), found(means, 5)
    assert six.winner == six.leader == "i0"
    assert six.open == []
    assert (six.pairs["p"] == 2 / 64).all()
    assert five.winner is None
    assert not five.can_tell


def test_the_winner_beats_every_rival_not_most_of_them() -> None:
    of = found({"a": 0.9, "b": 0.895, "c": 0.5}, 8, seed=3)
    assert of.winner is None
    assert of.leader == "a"
    assert of.open == ["b"]
    assert of.better == ["c"]


def test_the_least_lead_is_above_0_for_a_winner_and_below_the_nearest() -> None:
    of = found({"a": 0.9, "b": 0.86, "c": 0.5}, 10)
    assert of.winner == "a"
    assert 0 < of.least_lead < of.rivals.at["b", "difference"]
    assert found({"a": 0.9, "b": 0.86}, 5).least_lead == -math.inf


def test_a_share_of_the_level_takes_more_seeds() -> None:
    means = {"a": 0.9, "b": 0.8}
    assert found(means, 6, level=0.025).winner is None
    assert found(means, 7, level=0.025).winner == "a"


def test_six_seeds_are_needed_on_any_number_of_workloads() -> None:
    assert found({"a": 0.9, "b": 0.8}, 6, workloads=2).winner == "a"
    assert found({"a": 0.9, "b": 0.8}, 5, workloads=4).winner is None


def test_equality_within_the_margin() -> None:
    of = found({"a": 0.9, "b": 0.9, "c": 0.5}, 12, margin=0.02)
    assert (of.equal, of.better, of.open) == ([next(iter({"a", "b"} - {of.leader}))], ["c"], [])
    everyone = found({"a": 0.9, "b": 0.9, "c": 0.9}, 12, margin=0.02)
    assert len(everyone.equal) == 2
    assert everyone.interchangeable
    assert everyone.open == []
    assert found({"a": 0.9, "b": 0.9}, 12).equal == []  # nobody said what matters


def test_two_that_are_equal_to_a_third_need_not_be_equal_to_each_other() -> None:
    means = {"low": 0.892, "middle": 0.9, "high": 0.908}
    of = found(means, 12, noise=0.011, seed=10, margin=0.02, reference="middle")
    assert set(of.as_good) == {"low", "high"}
    assert not of.interchangeable


def test_equal_on_average_is_not_equal_on_each_workload() -> None:
    of = found({"a": 0.9, "b": 0.9}, 12, noise=0.001, workloads=2, seed=1, margin=0.02)
    assert of.interchangeable
    of.scores.loc[["w0"], "a"] += 0.1
    of.scores.loc[["w1"], "a"] -= 0.1
    again = Findings(of.scores, NO_RUNS, 0.02)
    assert again.equal
    assert not again.interchangeable


def test_no_difference_shown_is_not_equality() -> None:
    of = found({"a": 0.9, "b": 0.9}, 8, noise=0.05, margin=0.01)
    assert of.equal == []
    assert len(of.open) == 1


def test_ties_are_the_same_score_in_every_block() -> None:
    of = found({"a": 0.9, "b": 0.9, "c": 0.1}, 8, noise=0.0)
    assert (of.winner, of.ties, of.better, of.open) == ("a", ["b"], ["c"], [])
    assert list(of.rivals.index) == ["c"]
    assert found({"a": 0.9, "b": 0.9}, 8, noise=0.0).winner is None
    same_mean = pd.DataFrame({"a": [0.1, 0.3], "b": [0.3, 0.1]}, of.scores.index[:2])
    assert Findings(same_mean, NO_RUNS).ties == []


def test_a_reference_is_compared_with_each_of_the_others() -> None:
    means = {"best": 0.95, "mine": 0.9, "near": 0.8999, "bad": 0.5}
    of = found(means, 9, reference="mine", margin=0.0001)
    assert of.leader == "mine"
    assert (of.better, of.worse, of.open) == (["bad"], ["best"], ["near"])
    # Corrected for three comparisons, and not for six.
    assert of.rivals.at["bad", "p_holm"] == pytest.approx(3 * 2 / 2**9)
    assert of.rivals["low"].min() > found(means, 9).pairs.pipe(lambda pairs: -pairs["high"].max())
    assert of.winner is None  # it is not what was asked
    assert found(means, 9).winner == "best"


def test_a_reference_behind_all_others_needs_no_correction() -> None:
    of = found({"mine": 0.5, "a": 0.9, "b": 0.8, "c": 0.7}, 6, reference="mine")
    assert (of.rivals["p_holm"] > 0.05).all()
    assert of.worse == ["c", "b", "a"]
    assert of.open == []


def test_a_reference_in_the_middle_needs_seeds_for_the_correction() -> None:
    means = {"best": 0.95, "mine": 0.9, "bad": 0.5, "worst": 0.3}
    six, seven = found(means, 6, reference="mine"), found(means, 7, reference="mine")
    assert (six.can_tell, six.least_seeds, six.better) == (False, 7, [])
    assert (seven.can_tell, seven.better, seven.worse) == (True, ["worst", "bad"], ["best"])


def test_what_only_the_correction_leaves_open_takes_the_seeds_of_the_correction() -> None:
    """Eight initializers have 28 pairs: ten wins in ten seeds have p = 0.002, times 28 is above 0.05."""
    of = found({"a": 0.9, "b": 0.9, **{f"c{n}": 0.5 for n in range(6)}}, 10)
    assert of.winner is None
    assert of.better == []
    assert seeds_for(of, "c0", 0.4) == 11


def test_few_runs_far_apart() -> None:
    """Two initializers with five runs each separate by chance in 2 of 252 cases, four initializers in 12 of 252."""
    means = {"a": 0.9, "b": 0.7, "c": 0.5, "d": 0.3}
    assert found(means, 5).apart == ["d", "c", "b"]
    assert found({**means, "e": 0.1}, 5).apart == []  # 20 in 252
    assert found(means, 4).apart == []  # 12 in 70
    assert found({"a": 0.9, "b": 0.7}, 4).apart == ["b"]  # 2 in 70
    assert found({"a": 0.9, "b": 0.7}, 3).apart == []  # 2 in 20
    assert found(means, 6).apart == []  # the tests can tell
    # A seed may be lucky on every workload: more of them make nothing rarer.
    assert found({"a": 0.9, "b": 0.7}, 3, workloads=4).apart == []
    assert found({"a": 0.9, "b": 0.7}, 4, workloads=4).apart == ["b"]


@pytest.mark.parametrize(
    "overlap, apart", [(0.1, ["b"]), (0.2, []), (0.3, [])], ids=["below every run", "level with one", "above one"]
)
def test_apart_on_one_workload_and_not_on_another_is_not_apart(overlap: float, apart: list[str]) -> None:
    """One run of b reaches the worst of a, on the second workload alone."""
    index = pd.MultiIndex.from_product([["w0", "w1"], range(4)], names=["workload", "seed"])
    a, b = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2], [0.1] * 8
    scores = pd.DataFrame({"a": a, "b": [*b[:-1], overlap]}, index)
    assert Findings(scores, NO_RUNS).apart == apart
    assert Findings(-scores, NO_RUNS, reference="a").apart_above == apart


def test_a_reference_may_be_apart_on_either_side() -> None:
    means = {"a": 0.9, "b": 0.7, "c": 0.5}
    middle = found(means, 5, reference="b")
    assert (middle.apart, middle.apart_above) == (["c"], ["a"])
    assert found(means, 5, reference="c").apart_above == ["b", "a"]


def test_every_run_is_every_run_also_of_seeds_that_not_all_have() -> None:
    of = found({"a": 0.9, "b": 0.5, "c": 0.4}, 6, reference="a")
    scores = of.scores.copy()
    scores.loc[("w0", 5), "a"] = 0.1
    scores.loc[("w0", 5), "c"] = math.nan
    assert Findings(scores, NO_RUNS, reference="a").apart == []


def test_those_with_other_seeds_are_no_ties() -> None:
    """b agrees with a where both were run; c beats it where a was not."""
    of = found({"a": 0.9, "b": 0.9, "c": 0.5}, 8, noise=0.0)
    scores = of.scores.copy()
    scores.loc[("w0", 7), "a"] = math.nan
    assert of.ties == ["b"]
    assert Findings(scores, NO_RUNS).ties == []
    assert Findings(scores, NO_RUNS).winner is None


def test_a_reference_that_is_tied_at_the_top_won() -> None:
    means = {"a": 0.9, "b": 0.9, "c": 0.5}
    assert [found(means, 8, noise=0.0, reference=init).winner for init in means] == ["a", "b", None]


def test_an_exploded_score_does_not_make_others_alike() -> None:
    scores = found({"a": 0.9, "b": 0.5, "c": 0.3}, 8).scores.copy()
    scores.loc[("w0", 3), "c"] = -1e20
    of = Findings(scores, NO_RUNS)
    assert of.ties == []
    (p,) = of.pairs[(of.pairs["a"] == "a") & (of.pairs["b"] == "b")]["p"]
    assert p == 2 / 2**8


def test_runs_that_overlap_are_not_apart() -> None:
    of = found({"a": 0.9, "b": 0.9}, 5)
    assert of.apart == []


def test_means_are_of_the_blocks_that_all_have() -> None:
    """b lacks the two hard seeds, which a did: over all runs of each b would lead, seed by seed it is behind."""
    of = found({"a": 0.9, "b": 0.85}, 6, noise=0.0)
    of.scores.loc[[("w0", 4), ("w0", 5)], "a"] = 0.5
    of.scores.loc[[("w0", 4), ("w0", 5)], "b"] = math.nan
    assert of.overall["mean"].tolist() == pytest.approx([0.9, 0.85])
    assert of.overall.index.tolist() == ["a", "b"]
    assert of.seeds == (4, 4)


def test_of_several_that_are_best_on_a_workload_it_is_the_one_that_is_best_over_all() -> None:
    of = found({"a": 0.5, "b": 0.6}, 6, noise=0.0, workloads=2)
    of.scores.loc["w0"] = 0.5
    assert of.best_by_workload == {"w0": "b", "w1": "b"}


def test_overall_is_over_workload_means() -> None:
    """Workload 0 has four seeds and 1 two: (0.9 + 0.5) / 2, not the mean of six runs."""
    index = pd.MultiIndex.from_tuples([("v", s) for s in range(4)] + [("w", 0), ("w", 1)], names=["workload", "seed"])
    of = Findings(pd.DataFrame({"a": [0.9] * 4 + [0.5] * 2, "b": [0.1] * 6}, index), NO_RUNS)
    assert of.overall.at["a", "mean"] == pytest.approx(0.7)


def test_skewed_runs_leave_a_doubt() -> None:
    """Six leads, of which one is hardly any: the sign flips find them all of one sign, the bootstrap-t is not sure."""
    index = pd.MultiIndex.from_product([["w"], range(6)], names=["workload", "seed"])
    leads = [0.001, 0.002, 0.1, 0.09, 0.11, 0.1]
    of = Findings(pd.DataFrame({"a": leads, "b": [0.0] * 6}, index), NO_RUNS)
    assert of.winner == "a"
    assert of.doubtful == ["b"]
    assert found({"a": 0.9, "b": 0.8}, 10).doubtful == []


def test_equality_with_a_reference_is_corrected_for_its_comparisons_alone() -> None:
    of = found({"a": 0.9, "b": 0.902, "c": 0.9, "d": 0.5}, 9, margin=0.02, reference="b")
    table = of.against_reference
    assert table["p_equal_holm"].tolist() == holm(table["p_equal"]).tolist()
    assert table["p_equal_holm"].min() == pytest.approx(3 * table["p_equal"].min())
    assert {*of.equal} == {"a", "c"}


def test_intervals_of_a_reference_hold_for_its_comparisons_and_not_for_all_pairs() -> None:
    of = found({"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}, 8, reference="a")
    for init, row in of.against_reference.iterrows():
        (pair,) = of.pairs[of.pairs["b"] == init].query("a == 'a'").to_dict("records")
        assert row["difference"] == pytest.approx(pair["difference"])
        assert pair["low"] < row["low"] < row["high"] < pair["high"]


def test_a_smaller_level_takes_more_seeds_for_a_pair() -> None:
    means = {"a": 0.9, "b": 0.8, "c": 0.7}
    assert found(means, 8).least_seeds_for_a_pair == 7  # 3 * 2 / 2^7 < 0.05
    assert found(means, 8, level=0.025).least_seeds_for_a_pair == 8


def of_plans(looks: int, depths: dict[int, tuple[str, int]]) -> Comparison:
    """Two initializers and a number of seeds on each workload, by depth; seeds were added in so many further looks."""
    rows = [
        record(init, seed, 0.8 + seed / 1000 - 0.1 * place, model={"depth": depth})
        for depth, (inits, seeds) in depths.items()
        for place, init in enumerate(inits)
        for seed in range(seeds)
    ]
    runs = frame(*rows)
    workloads = tuple(runs["workload_id"].unique())
    runs.attrs["plans"] = [
        Plan(("a", "b"), workloads, tuple(range(2 + more)), (), None, None, runs_before=4 + 2 * more if more else 0)
        for more in range(looks + 1)
    ]
    return Comparison(runs)


@pytest.mark.parametrize("looks", range(4))
def test_each_further_look_halves_the_level(looks: int) -> None:
    comparison = of_plans(looks, {1: ("ab", 8)})
    assert comparison.level == 0.05 / 2**looks
    (findings,) = comparison.findings
    assert (findings.level, findings.next_level) == (comparison.level, comparison.level / 2)


def test_of_runs_from_elsewhere_looks_are_not_known() -> None:
    comparison = of_plans(0, {1: ("ab", 8)})
    comparison.runs.attrs["plans"] = []
    (findings,) = comparison.findings
    assert (findings.level, findings.next_level) == (0.05, 0.05)


@pytest.mark.parametrize("seeds, share", [(3, 1), (4, 2)])
def test_comparisons_that_can_claim_something_share_the_level(seeds: int, share: int) -> None:
    """With three seeds nothing can be claimed, so that nothing has to be kept for it."""
    comparison = of_plans(0, {1: ("ab", 8), 2: ("cd", seeds)})
    assert [of.level for of in comparison.findings] == [0.05 / share] * 2


def test_the_workload_with_the_fewest_seeds_decides_whether_workloads_can_be_told_apart() -> None:
    of = found({"a": 0.9, "b": 0.8}, 10, workloads=2)
    assert of.can_tell_workloads_apart
    few = of.scores.drop(index=[("w1", seed) for seed in range(3, 10)])
    assert not Findings(few, NO_RUNS).can_tell_workloads_apart


def test_the_workload_with_the_most_seeds_decides_whether_chance_sets_apart() -> None:
    """Five seeds on the one, three on the other: 2 of 252 for the first, 2 of 20 for the second alone."""
    of = found({"a": 0.9, "b": 0.7}, 5, workloads=2)
    few = of.scores.drop(index=[("w1", 3), ("w1", 4)])
    assert Findings(few, NO_RUNS).seeds == (3, 5)
    assert Findings(few, NO_RUNS).apart == ["b"]
    assert Findings(few, NO_RUNS, reference="b").apart_above == ["a"]


def test_all_that_are_equal_to_each_other_need_no_correction() -> None:
    """Four have six pairs: the smallest one-sided p of six seeds, 1/64, times 6 is above 0.05."""
    of = found(dict.fromkeys("abcd", 0.9), 6, noise=0.001, margin=0.02)
    assert (of.pairs["p_equal"] == 1 / 64).all()
    assert (of.pairs["p_equal_holm"] > 0.05).all()
    assert len(of.equal) == 3
    assert of.interchangeable


def test_some_that_are_equal_to_each_other_are_corrected_for_all_pairs() -> None:
    """a to d are alike, e is not: the pairs of the first four are six of ten."""
    means = {**dict.fromkeys("abcd", 0.9), "e": 0.5}
    of, more = (found(means, seeds, noise=0.001, margin=0.02, reference="a") for seeds in (7, 8))
    assert {*of.as_good} == {*more.as_good} == set("bcd")
    among = of.pairs[of.pairs["b"] != "e"]
    assert (among["p_equal"] < 0.05).all()
    assert (among["p_equal_holm"] > 0.05).all()  # 10 / 2^7
    assert not of.interchangeable
    assert more.interchangeable  # 10 / 2^8


def test_pairs_are_compared_on_the_seeds_that_both_have_and_all_on_those_that_all_have() -> None:
    """c has the first six seeds of ten."""
    of = found({"a": 0.9, "b": 0.89, "c": 0.5}, 10, noise=0.02, margin=0.05)
    scores = of.scores.copy()
    scores.loc[[("w0", seed) for seed in range(6, 10)], "c"] = math.nan
    of = Findings(scores, NO_RUNS, 0.05)
    seeds = {frozenset((row["a"], row["b"])): row["seeds"] for row in of.pairs.to_dict("records")}
    assert seeds == {frozenset("ab"): 10, frozenset("ac"): 6, frozenset("bc"): 6}
    (pair,) = [(a, b) for a, b in of.improvements if "c" not in (a, b)]
    assert of.improvements[pair] == improvements(scores, [pair])[pair] != improvements(scores[:6], [pair])[pair]
    (row,) = [row for row in of.pairs.to_dict("records") if (row["a"], row["b"]) == pair]
    (alone,) = compare(scores[[*pair]], 0.05, comparisons=3).to_dict("records")
    assert [row[key] for key in ("difference", "low", "high", "p", "p_equal")] == pytest.approx(
        [alone[key] for key in ("difference", "low", "high", "p", "p_equal")]
    )
    assert of.overall["mean"].to_dict() == pytest.approx(scores[:6].mean().to_dict())
    assert (of.ranks.blocks, of.seeds) == (6, (6, 6))
    assert of.overall["best"].isna().all()  # of six seeds


def test_a_lead_is_doubtful_at_the_level_of_the_claims() -> None:
    """Confirmed at 5 %, and not at 2.5 %."""
    of = next(
        of
        for of in (found({"a": 0.9, "b": 0.89}, 8, seed=seed) for seed in range(200))
        if of.leader == "a" and 0.025 < of.rivals.at["b", "p_skew"] < 0.05
    )
    assert of.doubtful == []
    assert Findings(of.scores, NO_RUNS, level=0.025).doubtful == ["b"]


def test_pairs_without_a_seed_in_common_take_no_part_in_the_correction() -> None:
    """b and c were never run with the same seed: of three pairs two can be tested, with 2 * 2 / 2^7 < 0.05."""
    of = found({"a": 0.9, "b": 0.5, "c": 0.4}, 14)
    scores = of.scores.copy()
    scores.loc[[("w0", seed) for seed in range(7)], "c"] = math.nan
    scores.loc[[("w0", seed) for seed in range(7, 14)], "b"] = math.nan
    pairs = Findings(scores, NO_RUNS).pairs
    assert pairs["p"].notna().sum() == 2
    assert pairs["p_holm"].dropna().tolist() == pytest.approx([2 * 2 / 2**7] * 2)
    assert Findings(scores, NO_RUNS).least_seeds_for_a_pair == 7
    assert found({"a": 0.9, "b": 0.5, "c": 0.4}, 14).least_seeds_for_a_pair == 7
    assert found(dict.fromkeys("abcde", 0.9), 14).least_seeds_for_a_pair == 9  # 10 * 2 / 2^9 < 0.05 < 10 * 2 / 2^8
