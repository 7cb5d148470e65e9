"""A study as a whole: which runs, initializers and workloads its parts are made of."""

from dataclasses import asdict, replace
from typing import Any

import pytest
from frames import frame, record

from initbench.analysis.comparison.comparison import Comparison
from initbench.metric import Metric
from initbench.record.plans import Plan, Race

LOSS = Metric("loss", "test loss", higher_is_better=False, unit="nats")
NEVER = (None, None)


def grid(inits: str, seeds: int, depth: int = 1, **parts: Any) -> list[dict[str, Any]]:
    """The earlier in the alphabet, the better, by 0.1."""
    return [
        record(init, seed, 0.9 - 0.1 * "abcdef".index(init) + seed / 1000, model={"depth": depth}, **parts)
        for init in inits
        for seed in range(seeds)
    ]


def test_times_are_of_those_that_are_compared_and_of_all_where_nothing_is() -> None:
    """c has too few seeds; on the second workload a is alone; nobody reached the second target."""
    comparison = Comparison(frame(*grid("ab", 6), *grid("c", 1), *grid("a", 3, depth=2)))
    assert [scope.inits for scope in comparison.scopes] == [("a", "b")]
    assert [(sorted(of.table.index), of.target) for of in comparison.times] == [(["a", "b"], "0.5"), (["a"], "0.5")]
    assert Comparison(frame(*grid("ab", 3, hits=NEVER))).times == []
    one = Comparison(frame(*grid("a", 3, hits=NEVER), *grid("b", 2, hits=NEVER), record("b", 2, hits=(10, 90))))
    assert [of.target for of in one.times] == ["0.5", "0.9"]  # one run is enough


def test_each_target_that_a_run_reached_has_times() -> None:
    comparison = Comparison(frame(*grid("ab", 3), record("a", 3, model={"depth": 1}, hits=(10, 90))))
    assert [of.target for of in comparison.times] == ["0.5", "0.9"]
    assert comparison.targets == ["0.5", "0.9"]


def test_a_workload_is_called_what_tells_it_apart() -> None:
    names = Comparison(frame(*grid("ab", 3, depth=1), *grid("ab", 3, depth=2))).short_names
    assert sorted(names.values()) == ["model.depth=1", "model.depth=2"]
    assert all(name.endswith(short) for name, short in names.items())
    (name,) = Comparison(frame(*grid("ab", 3))).short_names.items()
    assert name[0] == name[1] != ""
    assert Comparison(frame(*grid("a", 3))).short_names == {}


@pytest.mark.parametrize(
    "margin, points, text, of_scores", [(None, 0.5, "0.5 points", 0.005), (2, 2, "2 points", 0.02)]
)
def test_a_margin_of_shares_is_in_points(margin: float | None, points: float, text: str, of_scores: float) -> None:
    comparison = Comparison(frame(*grid("ab", 6)), margin=margin)
    assert (comparison.points, comparison.margin_text) == (points, text)
    assert comparison.findings[0].margin == pytest.approx(of_scores)


def test_a_margin_of_another_metric_is_in_its_unit_and_has_no_default() -> None:
    rows = [
        record(i, n, None, metric=asdict(LOSS), results={"val/loss": 1 + n / 10, "test/loss": 1 + n / 10}, hits=NEVER)
        for i in "ab"
        for n in range(6)
    ]
    for margin, text in ((None, ""), (0.25, "0.25 nats"), (1, "1 nats")):
        comparison = Comparison(frame(*rows), LOSS, margin)
        assert (comparison.points, comparison.margin_text, comparison.findings[0].margin) == (margin, text, margin)


def test_findings_have_the_runs_of_their_own_workloads_and_initializers() -> None:
    """Those of c on the first workload belong to no comparison; the reference is in one of two."""
    rows = [*grid("ab", 6), *grid("c", 1), *grid("de", 5, depth=2)]
    first, second = Comparison(frame(*rows), reference="d").findings
    assert {*first.runs["init"]} == {*first.scores} == {"a", "b"}
    assert {*second.runs["init"]} == {*second.scores} == {"d", "e"}
    assert (len(first.runs), len(second.runs)) == (12, 10)
    assert (first.reference, second.reference) == (None, "d")
    assert (first.level, second.level) == (0.025, 0.025)


def test_what_is_not_compared_is_named_with_why() -> None:
    failed = [record(init, 0, None, status="failed", model={"depth": 3}) for init in "ab"]
    versions = [record(f"mine (source {of})", 0, 0.5, model={"depth": 1}) for of in ("abc", "def")]
    comparison = Comparison(frame(*grid("ab", 6), *failed, *versions), reference="mine")
    found = dict(comparison.left_out)
    (workload,) = [name for name in found if name.endswith("model.depth=3")]
    assert found[workload] == "no run on it has a score"
    assert found["mine"] == "the reference; name one of its versions: mine (source abc), mine (source def)"
    assert Comparison(frame(*grid("ab", 6)), reference="c").left_out == [
        ("c", "the reference; no run of it has a score")
    ]
    alone = Comparison(frame(*grid("ab", 6), *grid("c", 3, depth=2)), reference="c").left_out
    assert ("c", "the reference; it shares no workload and seeds with another") in alone
    somewhere = Comparison(frame(*grid("ab", 6), *grid("ab", 6, depth=2), *grid("c", 6))).left_out
    assert somewhere == [("c", "runs on only 1 of 2 workloads")]


def test_runs_that_share_seeds_are_in_no_comparison_and_those_that_do_not_are() -> None:
    runs = frame(*grid("ab", 6), *grid("ab", 6, depth=2))
    of_second = runs["workload"].str.endswith("model.depth=2")
    apart = [{"weights": seed, "order": 0} for seed in runs["seed"]]
    runs["seeds"] = [of if second else None for of, second in zip(apart, of_second, strict=True)]
    comparison = Comparison(runs)
    assert [ranking.is_crossed for ranking in comparison.rankings].count(True) == 1
    assert [ranking.workload for ranking in comparison.independent] == list(runs.loc[~of_second, "workload"].unique())
    assert {*comparison.scores.index.get_level_values("workload")} == {*runs.loc[~of_second, "workload"]}
    assert [of.workload for of in comparison.crossed] == list(runs.loc[of_second, "workload"].unique())
    assert {of.workload for of in comparison.times} == {*runs.loc[~of_second, "workload"]}


def test_a_workload_is_named_by_its_digest() -> None:
    runs = frame(*grid("ab", 2, depth=1), *grid("ab", 2, depth=2))
    comparison = Comparison(runs)
    for digest, name in zip(runs["workload_id"], runs["workload"], strict=True):
        assert comparison.named(digest) == name
    assert comparison.named("0000") == "0000"


def test_the_profile_is_of_workloads_with_a_target_and_of_those_that_are_compared() -> None:
    """a takes 10 steps on both; b 20 on the first, and never gets there on the second; on the third nobody does."""
    rows = [*grid("a", 4), *grid("b", 4, hits=(20, None)), *grid("a", 4, depth=2), *grid("b", 4, depth=2, hits=NEVER)]
    profile = Comparison(frame(*rows, *grid("ab", 4, depth=3, hits=NEVER))).profile
    assert list(profile) == ["a", "b"]
    assert profile["a"].tolist() == [1, 1]
    assert profile["b"].to_dict() == {1.0: 0.0, 2.0: 0.5}


def test_seeds_that_only_one_has_do_not_make_a_comparison_claim_a_part_of_the_level() -> None:
    """c and d share three seeds, with which nothing can be claimed; c has three more."""
    comparison = Comparison(frame(*grid("ab", 8), *grid("c", 6, depth=2), *grid("d", 3, depth=2)))
    assert [scope.inits for scope in comparison.scopes] == [("a", "b"), ("c", "d")]
    assert [of.level for of in comparison.findings] == [0.05, 0.05]
    four = Comparison(frame(*grid("ab", 8), *grid("c", 6, depth=2), *grid("d", 4, depth=2)))
    assert [of.level for of in four.findings] == [0.025, 0.025]


def test_a_study_is_a_race_if_its_latest_sweep_was_one_and_earlier_looks_halve_its_level() -> None:
    runs = frame(*grid("ab", 8))
    workloads = tuple(runs["workload_id"].unique())
    seeds = Plan(("a", "b"), workloads, tuple(range(4)), (), None, None)
    race = replace(seeds, seeds=(), race=Race(0.05, 30, None, strict=False, per_task=False))

    def of(*plans: Plan) -> Comparison:
        runs.attrs["plans"] = [*plans]
        return Comparison(runs)

    (alone,) = of(race).races
    (later,) = of(seeds, replace(race, runs_before=8)).races
    assert (alone.course.rules.level, later.course.rules.level) == (0.05, 0.025)
    assert of(race).findings == []
    back = of(race, replace(seeds, seeds=tuple(range(8)), runs_before=8))
    assert back.races == []
    assert [found.level for found in back.findings] == [0.025]
