"""The verdict says what the numbers say, and claims no more."""

import re
from dataclasses import replace

import numpy as np
import pytest
from frames import frame, record
from verdicts import said, study

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.verdict.sentence import CLAIMS
from initbench.analysis.verdict.sentences import sentences


def test_a_winner_is_named_first() -> None:
    comparison = study({"good": 0.9, "fair": 0.8, "bad": 0.5}, seeds=10)
    first, second, *rest = sentences(comparison)
    assert first.text == (
        "Use good: it beat every other initializer; chance alone would do that in fewer than 1 of 20 such studies."
    )
    assert comparison.main is not None
    mean = f"{comparison.main.overall.at['good', 'mean']:.2%} (10 seeds)"
    assert second.text.startswith(f"good has the highest mean test accuracy, {mean}. Its smallest lead is ")
    least = r"points, over fair; with 95% confidence it leads every other initializer by at least \d+\.\d\d points "
    assert re.search(least + r"\(p ≤ 0\.002 for each\)\.$", second.text)
    assert rest == []


def test_of_two_the_other_is_named() -> None:
    first, second = sentences(study({"a": 0.9, "b": 0.8}, seeds=8))
    assert first.text.startswith("Use a: it beat b; ")
    assert re.search(
        r"It leads b by \S+ points; with 95% confidence by at least \S+ points \(p ≤ 0\.008\)\.", second.text
    )


def test_a_lead_that_rounds_to_nothing_is_not_called_0() -> None:
    text = said(study({"a": 0.9, "b": 0.899}, seeds=6, noise=0.0004))["standing"].text
    assert "at least 0.00" not in text


def test_a_small_lead_is_said_to_be_small() -> None:
    text = said(study({"a": 0.9, "b": 0.897}, seeds=12, noise=0.0005))["small"].text
    assert text == "Its lead over b is shown to be smaller than the margin, 0.5 points."


def test_what_is_open_comes_with_what_would_settle_it() -> None:
    found = said(study({"a": 0.9, "b": 0.895, "c": 0.5}, seeds=8, seed=1))
    assert next(iter(found)) == "open"
    opened = (
        r"No difference was shown between a and b; \d+ more seeds would probably show a difference of \d\.\d\d points, "
        r"if there is one\."
    )
    assert re.fullmatch(opened, found["open"].text)
    lead = r"It is \d\.\d\d points ahead of b \(95% interval of the lead [+-]\d\.\d\d to \+\d\.\d\d\)\."
    assert re.search(lead, found["standing"].text)
    better = r"a is better than c by 4\d\.\d\d points \(p < 0\.05 after Holm's correction for 3 pairs\)\."
    assert re.fullmatch(better, found["better"].text)
    power = (
        r"With a power of 80%, it takes \d+ seeds to show a difference as large as that from b \(\d\.\d\d points\) "
        r"and \d+ seeds to show one as large as the margin \(0\.5 points\)\."
    )
    assert re.fullmatch(power, found["power"].text)
    assert re.fullmatch(
        r"For \d+ seeds of every initializer, \d+ more runs are needed \(about \d.* on the same machine\)\. A second "
        r"look with more seeds raises the error rate above 5%; to keep it, judge by new seeds alone, in a study of "
        r"their own\.",
        found["settle"].text,
    )


def test_what_a_lead_below_the_margin_needs_is_said_to_be_for_the_margin() -> None:
    """b is behind by less than the margin, c by more."""
    found = said(study({"a": 0.9, "b": 0.8999, "c": 0.885}, seeds=6, noise=0.02, seed=1))
    assert re.fullmatch(
        r"No difference was shown between . and . or .; \d+ more seeds would probably show differences as large as "
        r"these, or as the margin where it is larger\.",
        found["open"].text,
    )
    assert "(enough for every open comparison at once)" in found["settle"].text


def test_leads_that_are_all_below_the_margin_are_not_what_its_seeds_show() -> None:
    """It takes more seeds to show them, as the next sentence but one says."""
    comparison = study({"a": 0.9, "b": 0.8999, "c": 0.8998}, seeds=6, noise=0.02, seed=2)
    found = said(replace(comparison, margin=2))
    assert re.fullmatch(
        r"No difference was shown between . and . or .; \d+ more seeds would probably show a difference of 2\.00 "
        r"points, if there is one\.",
        found["open"].text,
    )
    for_lead, for_margin = map(int, re.findall(r"(\d+) seeds to show", found["power"].text))
    (seeds,) = map(int, re.findall(r"For (\d+) seeds", found["settle"].text))
    assert for_margin <= seeds < for_lead


def test_large_leads_that_too_few_seeds_leave_open_are_explained() -> None:
    """Six seeds can verify a winner, but no single pair of five initializers."""
    means = {"a": 0.9, "b": 0.899, "c": 0.7, "d": 0.6, "e": 0.5}
    found = said(study(means, seeds=6, seed=1))
    assert found["open"].text.startswith("No difference was shown between a and b, c, d or e; ")
    assert found["few"].text == (
        "With 6 seeds, only an initializer that beats every other can be shown to be better; Holm's correction for 10 "
        "pairs takes at least nine seeds."
    )
    assert "few" not in said(study(means, seeds=9, seed=1))


def test_what_would_settle_one_question_is_not_said_to_settle_another() -> None:
    """b is as good as a, and no number of seeds tells them apart; c is behind by as much as seeds differ."""
    means = {"a": 0.9, "b": 0.9 - 1e-9, "c": 0.88}
    comparison = Comparison(frame(*(record(i, s, m, hits=(None, None)) for i, m in means.items() for s in range(8))))
    noise = 0.02 * np.random.default_rng(0).standard_normal((8, 3))
    noise -= noise.mean(axis=0)
    runs = comparison.runs.assign(score=comparison.runs["score"].to_numpy() + noise.T.ravel())
    found = said(Comparison(runs, margin=1e-9))
    assert re.fullmatch(
        r"No difference was shown between a and b or c; \d+ more seeds would probably show a difference from c of "
        r"\d\.\d\d points, if there is one\.",
        found["open"].text,
    )
    assert re.match(r"For \d+ seeds of every initializer, ", found["settle"].text)


def test_too_few_seeds_show_nothing_and_say_what_it_takes() -> None:
    found = said(study({"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}, seeds=3))
    assert found["few"].text == "Three seeds cannot show a significant difference; at least six are needed."
    assert not set(CLAIMS) & set(found)


def test_runs_far_apart_are_said_to_be() -> None:
    found = said(study({"a": 0.9, "b": 0.8, "c": 0.5}, seeds=5))
    assert found["apart"].text == (
        "Every run of a is better than every run of any other initializer; between initializers that are alike, chance "
        "would do that in fewer than 1 of 20 studies."
    )


def test_equality_is_a_verdict() -> None:
    found = said(study({"a": 0.9, "b": 0.9}, seeds=12, noise=0.001))
    assert re.fullmatch(r"[ab] and [ab] are equal to within 0\.5 points: either will do\.", found["equal"].text)
    # (1 - 0.22)^12 = 0.05
    assert found["unseen"].text == (
        "With 12 seeds, an initializer that fails in up to 23% of its runs may not have shown it (95% bound)."
    )
    assert "open" not in found
    wide = said(study({"a": 0.9, "b": 0.9, "c": 0.9}, seeds=12, margin=3.0))
    assert wide["equal"].text.endswith("are equal to within 3 points: any of them will do.")


def test_a_difference_that_is_shown_to_be_small_is_no_equality() -> None:
    found = said(study({"mine": 0.9, "a": 0.898, "b": 0.8}, seeds=12, noise=0.0003, reference="mine"))
    assert "winner" in found
    found = said(study({"mine": 0.9, "a": 0.898, "b": 0.95}, seeds=12, noise=0.0003, reference="mine"))
    assert found["reference"].text.startswith("mine is better than a (by 0.21 points) and worse than b ")
    assert found["small"].text == "mine's difference from a is shown to be smaller than the margin, 0.5 points."
    assert "equal" not in found


def test_each_equal_to_the_reference_is_not_all_alike() -> None:
    means = {"low": 0.892, "middle": 0.9, "high": 0.908}
    found = said(study(means, seeds=12, noise=0.011, seed=1, margin=2.0, reference="middle"))
    assert re.fullmatch(
        r"(low and high|high and low) are each equal to middle to within 2 points\.", found["equal"].text
    )


def test_ties_are_ties() -> None:
    found = said(study({"a": 0.9, "b": 0.9, "c": 0.1}, seeds=8, noise=0))
    assert found["winner"].text.startswith("Use a or b: they beat c; ")
    assert found["tie"].text == "a and b have the same score in every run."
    assert not {"open", "settle", "power", "better"} & set(found)


def test_equals_are_not_told_apart() -> None:
    found = said(study({"a": 0.9, "b": 0.9}, seeds=10))
    assert not set(CLAIMS) & set(found)
    assert found["open"].text.startswith("No difference was shown between ")


def test_a_reference_is_what_it_is_about() -> None:
    means = {"best": 0.95, "mine": 0.9, "near": 0.8999, "bad": 0.5}
    comparison = study(means, seeds=9, seed=2, reference="mine")
    first, second, *_ = sentences(comparison)
    assert re.fullmatch(
        r"mine is better than bad \(by \d+\.\d\d points\) and worse than best \(by \d\.\d\d points\): p < 0\.05 for "
        r"each after Holm's correction for 3 pairs\. No difference was shown between mine and near\.",
        first.text,
    )
    assert re.search(r"It is \d\.\d\d points (ahead of|behind) near", second.text)
    assert not {"better", "worse", "open", "winner"} & set(said(comparison))
    alone = said(study({"mine": 0.9, "near": 0.8999}, seeds=9, seed=2, reference="mine"))
    assert alone["open"].text.startswith("No difference was shown between mine and near; ")


def test_a_reference_behind_all_is_said_to_be() -> None:
    first = sentences(study({"mine": 0.5, "a": 0.9, "b": 0.8, "c": 0.7}, seeds=6, reference="mine"))[0].text
    assert re.fullmatch(r"mine is worse than c, b and a \(by \S+ to \S+ points\): p < 0\.05 for each\.", first)


def test_a_reference_takes_seeds_for_its_correction() -> None:
    means = {"mine": 0.9, "a": 0.905, "b": 0.895, "c": 0.9}
    assert said(study(means, seeds=6, noise=0.1, reference="mine"))["few"].text == (
        "Six seeds cannot show a significant difference between mine and any of the 3 others; at least seven are "
        "needed."
    )


def test_a_reference_that_has_not_run_is_named() -> None:
    found = said(study({"a": 0.9, "b": 0.8}, seeds=6, reference="mine"))
    assert found["winner"].text.startswith("Use a: it beat b")
    assert found["left_out"].text == "Not compared: mine (the reference; no run of it has a score)."


def test_a_reference_that_won_is_the_winner() -> None:
    assert sentences(study({"a": 0.9, "b": 0.8, "c": 0.7}, seeds=6, reference="a"))[0].text.startswith("Use a: it beat")


def test_every_comparison_that_can_be_made_is_and_shares_the_level() -> None:
    """Two sets of initializers that have no workload in common: seven seeds are needed for each, not six."""

    def rows(seeds: int) -> list[dict[str, object]]:
        return [
            record(init, seed, mean + seed / 1000, model={"depth": depth}, hits=(None, None))
            for depth, of in enumerate(({"a": 0.9, "b": 0.8}, {"c": 0.9, "d": 0.8, "e": 0.7}))
            for init, mean in of.items()
            for seed in range(seeds)
        ]

    first, second = [s for s in sentences(Comparison(frame(*rows(7)))) if s.kind == "winner"]
    assert first.text.startswith("Compared on mlp on mnist, sgd lr 0.1, 100 steps, model.depth=1. Use c: it beat every")
    assert second.text.endswith("chance alone would do that in fewer than 1 of 40 such studies.")
    assert not [s for s in sentences(Comparison(frame(*rows(6)))) if s.kind == "winner"]


def test_what_is_left_out_is_named_with_the_reason() -> None:
    never = (None, None)
    rows = [record(init, seed, 0.9 - 0.1 * (init == "b"), hits=never) for init in "ab" for seed in range(6)]
    rows += [record("a", 0, 0.5, model={"depth": 50}, hits=never), record("c", 0, 0.9, hits=never)]
    found = said(Comparison(frame(*rows)))
    assert found["winner"].text.startswith("Use a: it beat b")
    assert found["left_out"].text == (
        "Not compared: mlp on mnist, sgd lr 0.1, 100 steps, model.depth=50 (only a has runs on it); c (too few "
        "seeds in common with the others)."
    )


def test_nothing_and_one() -> None:
    def first(*records: dict[str, object]) -> str:
        return sentences(Comparison(frame(*records)))[0].text

    assert first(record("a", 0, status="failed")) == "Nothing can be compared: no run has a score."
    assert first(record("a", 0)) == "Nothing can be compared: a is the only initializer that has a score."
    assert first(record("a", 0, 0.9), record("b", 1, 0.8)) == (
        "Nothing can be compared: no two initializers have runs with the same seed on the same workload."
    )
    assert (
        first(record("a", 0, 0.9), record("b", 0, 0.8))
        == "One seed cannot show a significant difference; at least six are needed."
    )


def test_comparisons_beyond_the_third_have_their_first_sentence() -> None:
    rows = [
        record(f"{init}{depth}", seed, mean + seed / 1000, model={"depth": depth}, hits=(None, None))
        for depth in range(5)
        for init, mean in (("good", 0.9), ("bad", 0.8))
        for seed in range(9)
    ]
    found = sentences(Comparison(frame(*rows)))
    assert sum(sentence.kind == "winner" for sentence in found) == 5
    assert sum(sentence.kind == "standing" for sentence in found) == 3


def test_an_interval_that_excludes_0_where_nothing_is_shown_says_what_it_assumes() -> None:
    leads = [0.006, 0.005, 0.004, 0.005, 0.006, -0.0001]
    rows = [record(init, n, 0.9 - (init == "b") * lead) for init in "ab" for n, lead in enumerate(leads)]
    found = said(Comparison(frame(*rows)))
    assert "open" in found
    assert ", if differences are normally distributed)" in found["standing"].text


def test_unequal_seeds_are_said_to_be() -> None:
    rng = np.random.default_rng(0)
    rows = [
        record(init, n, 0.9 + 0.01 * rng.standard_normal())
        for init, seeds in (("a", 8), ("b", 8), ("c", 5))
        for n in range(seeds)
    ]
    text = said(Comparison(frame(*rows)))["standing"].text
    assert "(5 seeds that all share)" in text
    assert re.search(r", over the seeds that (the two|each pair) share\.", text)


@pytest.mark.parametrize("score", ["higher", "lower"])
def test_directions_are_only_words(score: str) -> None:
    from initbench.report.verdict import verdict

    rng = np.random.default_rng(0)
    rows = frame(
        *(record(i, s, m + 0.01 * rng.standard_normal()) for i, m in (("a", 0.9), ("b", 0.8)) for s in range(8))
    )
    sign = 1 if score == "higher" else -1
    table = rows[["init", "seed", "workload"]].assign(loss=sign * rows["score"])
    found = verdict(table, "loss", score == "higher", workload="workload", unit="nats").sentences
    assert found[0].text.startswith("Use a: it beat b; ")
    best = "highest" if sign > 0 else "lowest"
    assert found[1].text.startswith(f"a has the {best} mean loss, {'' if sign > 0 else '-'}0.9")
    assert "nats (8 seeds). It leads b by 0.1" in found[1].text
