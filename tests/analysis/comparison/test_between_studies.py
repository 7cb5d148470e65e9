"""Two studies side by side: what became of each initializer."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frames import record
from scipy import stats
from studies import write_study

from initbench.analysis.comparison.between_studies import between_studies, only_in_one
from initbench.analysis.comparison.chosen_rates import chosen_rates
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.loading.studies import load_studies
from initbench.analysis.statistics.pairs import compare, holm
from initbench.analysis.verdict.problems import problems
from initbench.analysis.verdict.sentences import sentences


def compared(folder: Path, before: dict[str, float], after: dict[str, float], seeds: int = 8) -> Comparison:
    return side_by_side(folder, scores(before, seeds), scores(after, seeds))


def scores(means: dict[str, float], seeds: int = 8, spread: float = 0.001) -> list[dict[str, Any]]:
    return [record(init, seed, mean + spread * seed) for init, mean in means.items() for seed in range(seeds)]


def side_by_side(folder: Path, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Comparison:
    return Comparison(load_studies([write_study(folder / "zzz", *before), write_study(folder / "aaa", *after)]))


def test_differences_are_from_the_first_study_to_the_second(tmp_path: Path) -> None:
    """In the order that they were named in, not that of the alphabet."""
    table = between_studies(
        compared(tmp_path, {"up": 0.7, "down": 0.9, "same": 0.8}, {"up": 0.8, "down": 0.6, "same": 0.8})
    )
    table = table.set_index("init")
    assert set(zip(table["before"], table["after"], strict=True)) == {("zzz", "aaa")}
    assert table["difference"].to_dict() == pytest.approx({"up": 0.1, "down": -0.3, "same": 0.0})
    # Three questions were asked, not the fifteen pairs of six.
    assert table.loc["up", "p_holm"] == pytest.approx(3 * 2 / 2**8)


def test_the_other_way_round_a_change_and_its_interval_change_their_sign(tmp_path: Path) -> None:
    before, after = scores({"up": 0.7, "down": 0.9}), scores({"up": 0.8, "down": 0.6}, spread=0.003)
    there = between_studies(side_by_side(tmp_path / "there", before, after)).set_index("init")
    back = between_studies(side_by_side(tmp_path / "back", after, before)).set_index("init")
    for init in ("up", "down"):
        assert there.loc[init, "low"] < there.loc[init, "high"]
        ends = [-back.loc[init, key] for key in ("difference", "high", "low")]
        assert there.loc[init, ["difference", "low", "high"]].tolist() == pytest.approx(ends)
        assert there.loc[init, "p_holm"] == back.loc[init, "p_holm"]


def test_the_verdict_says_what_changed(tmp_path: Path) -> None:
    before, after = {"up": 0.7, "down": 0.9, "same": 0.8}, {"up": 0.8, "down": 0.6, "same": 0.8}
    (sentence,) = sentences(compared(tmp_path, before, after))
    assert sentence.kind == "change"
    assert sentence.text.startswith("From zzz to aaa, up (+10.00 points over 8 pairs of runs")
    assert "is better; down (-30.00 points over 8 pairs" in sentence.text
    assert sentence.text.endswith("is worse; same has the same score in every run.")


def test_what_only_one_has_is_named(tmp_path: Path) -> None:
    _, left_out = sentences(compared(tmp_path, {"a": 0.7, "old": 0.9}, {"a": 0.8}))
    assert left_out.text == "Not compared: old (only in zzz)."


def test_few_pairs_confirm_nothing(tmp_path: Path) -> None:
    (sentence,) = sentences(compared(tmp_path, {"up": 0.7}, {"up": 0.8}, seeds=3))
    assert sentence.kind == "unchanged"
    assert "From zzz to aaa, no difference was shown for up (+10.00 points over 3 pairs" in sentence.text


def test_studies_of_different_workloads_are_one_comparison(tmp_path: Path) -> None:
    one = [record(init, seed, 0.8, model={"depth": 1}) for init in "ab" for seed in range(3)]
    two = [record(init, seed, 0.9, model={"depth": 2}) for init in "ab" for seed in range(3)]
    comparison = Comparison(load_studies([write_study(tmp_path / "one", *one), write_study(tmp_path / "two", *two)]))
    assert comparison.main is not None
    assert sorted(comparison.main.overall.index) == ["a", "b"]
    assert len(comparison.rankings) == 2
    assert between_studies(comparison).empty


@pytest.mark.parametrize("damaged", [[], [0], [1], [0, 1]])
def test_what_cannot_be_read_in_any_of_the_studies_is_said(damaged: list[int], tmp_path: Path) -> None:
    studies = [write_study(tmp_path / name, *(record("a", seed) for seed in (0, 1))) for name in ("one", "two")]
    for place in damaged:
        next(studies[place].glob("*/record.json")).write_text("{")
    loaded = load_studies(studies)
    assert len(loaded) == 4 - len(damaged)
    for place, message in zip(damaged, loaded.attrs["unreadable"], strict=True):
        assert str(studies[place]) in message
    found = [problem for problem in problems(loaded, Comparison(loaded).rankings) if problem.kind == "unreadable"]
    assert [problem.text[0] for problem in found] == [str(len(damaged))] * bool(damaged)


def test_intervals_hold_for_all_rows_at_once(tmp_path: Path) -> None:
    before, after = scores({"one": 0.7, "two": 0.6}), scores({"one": 0.8, "two": 0.5}, spread=0.003)
    table = between_studies(side_by_side(tmp_path, before, after)).set_index("init")
    for init, mean in (("one", 0.1), ("two", -0.1)):
        leads = [mean + 0.002 * seed for seed in range(8)]
        ends = stats.t.interval(1 - 0.05 / 2, 7, sum(leads) / 8, stats.sem(leads))
        assert table.loc[init, ["low", "high"]].tolist() == pytest.approx(ends)


def test_where_rates_were_chosen_p_is_that_of_the_swapped_rows(tmp_path: Path) -> None:
    def grid(lead: float, seed: int) -> list[dict[str, Any]]:
        rng = np.random.default_rng(seed)
        return [
            record(init, n, 0.7 + lead + 0.03 * rng.normal(), lr=lr)
            for init in ("a", "b")
            for n in range(7)
            for lr in (0.01, 0.1, 1.0)
        ]

    comparison = side_by_side(tmp_path, grid(0.0, 3), grid(0.01, 4))
    table = between_studies(comparison).set_index("init")
    alone: list[float] = []
    for init in table.index:
        scores = comparison.scores[[f"{init} @ zzz", f"{init} @ aaa"]]
        (p,) = chosen_rates(comparison.runs, scores).p.values()
        assert table.loc[init, "p"] == p
        alone.append(compare(scores)["p"].item())
        assert table.loc[init, "difference"] == pytest.approx(scores.iloc[:, 1].mean() - scores.iloc[:, 0].mean())
    assert table["p"].tolist() != alone
    assert table["p_holm"].tolist() == holm(table["p"]).tolist()


def test_why_an_initializer_is_not_compared_between_studies(tmp_path: Path) -> None:
    both, moved = scores({"both": 0.8}), [record("moved", n, 0.7, model={"depth": 2}) for n in range(8)]
    before = [*both, *scores({"moved": 0.7, "old": 0.6})]
    comparison = side_by_side(tmp_path, before, [*both, *moved])
    changed = between_studies(comparison)
    assert changed["init"].tolist() == ["both"]
    assert changed["is_same"].tolist() == [True]
    assert sorted(only_in_one(comparison, changed)) == [("moved", "on different workloads"), ("old", "only in zzz")]


def test_of_three_studies_every_two_are_compared(tmp_path: Path) -> None:
    leads = {"x": 0.0, "z": 0.1, "y": 0.3}
    studies = [write_study(tmp_path / name, *scores({"b": 0.6 + lead, "a": 0.5})) for name, lead in leads.items()]
    table = between_studies(Comparison(load_studies(studies)))
    pairs = [("x", "z"), ("x", "y"), ("z", "y")]
    assert list(zip(table["init"], table["before"], table["after"], strict=True)) == [
        (init, *pair) for init in "ab" for pair in pairs
    ]
    assert table["difference"].tolist() == pytest.approx([0, 0, 0, 0.1, 0.3, 0.2])
    assert table["is_same"].tolist() == [True] * 3 + [False] * 3
