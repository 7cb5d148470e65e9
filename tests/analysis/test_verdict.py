"""The verdict says what the numbers say, and claims no more; and a comparison as a whole."""

import re

import numpy as np
import pytest
from frames import frame, record

from initbench.analysis.comparison import Comparison
from initbench.analysis.verdict import against, verdict


def study(means: dict[str, float], seeds: int, tasks: int = 1, noise: float = 0.01, seed: int = 0) -> Comparison:
    rng = np.random.default_rng(seed)
    return Comparison(
        frame(
            *(
                record(init, number, mean + noise * rng.standard_normal(), model={"depth": depth})
                for init, mean in means.items()
                for depth in range(tasks)
                for number in range(seeds)
            )
        )
    )


def test_a_clear_winner() -> None:
    comparison = study({"good": 0.9, "fair": 0.8, "bad": 0.5}, seeds=10)
    first, second, *_ = verdict(comparison)
    assert first.startswith("good has the highest mean test accuracy, ")
    assert f"{comparison.overall.at['good', 'mean']:.2%}" in first
    assert "(10 seeds)" in first
    assert "the highest in 100% of bootstrap resamples" in first
    assert second.startswith("It is better than bad and fair by ")
    assert "Holm-corrected p < 0.05" in second


def test_with_too_few_seeds_no_significance_is_claimed() -> None:
    text = " ".join(verdict(study({"good": 0.9, "fair": 0.8, "bad": 0.5}, seeds=5)))
    assert "is better than" not in text
    assert "With 5 pairs of runs no exact test of 3 comparisons can fall below 0.05; it takes 7." in text  # 3 * 2 / 2^7
    assert "By 95 % intervals, not corrected for the choice of the best, it leads bad and fair" in text


def test_a_lead_that_only_the_intervals_show_is_said_to_be_that() -> None:
    """On one of two tasks all are equal; six seeds of the other alone give no p below 2 / 2^6, and it is one of ten."""
    rng = np.random.default_rng(0)
    rows = [
        record(init, seed, 0.5 + (depth == 1) * (0.4 * (init == "a") + 0.001 * rng.normal()), model={"depth": depth})
        for init in "abcde"
        for depth in (1, 2)
        for seed in range(6)
    ]
    said = verdict(Comparison(frame(*rows)))
    assert not any(words in sentence for sentence in said for words in ("is better than", "luck"))
    (apart,) = (sentence for sentence in said if sentence.startswith("By 95 % intervals"))
    assert set(re.findall(r"\b[b-e]\b", apart)) == set("bcde")
    assert apart.endswith("points; the exact tests of 10 comparisons do not confirm it.")


def test_untested_runs_that_lie_apart_are_said_to() -> None:
    """Three seeds have neither interval nor test, but that every run of one beats every run of the other is plain."""
    text = " ".join(verdict(study({"good": 0.9, "near": 0.899, "bad": 0.1}, seeds=3)))
    assert re.search(r"Each of its runs is above each of bad, on average by (79|80)\.", text)
    assert "is of too few seeds to say more" in text
    assert "luck" not in text


def test_who_wins_over_all_and_on_no_task_is_no_plain_winner() -> None:
    means = {"a": (0.9, 0.5), "b": (0.5, 0.9), "c": (0.85, 0.85)}
    rows = [
        record(init, seed, mean + 0.001 * seed, model={"depth": depth})
        for init, of_task in means.items()
        for depth, mean in enumerate(of_task)
        for seed in range(6)
    ]
    first = verdict(Comparison(frame(*rows)))[0]
    assert first.startswith("It depends on the task. Over all, c has the highest mean test accuracy")


def test_equals_are_not_told_apart() -> None:
    text = " ".join(verdict(study({"a": 0.9, "b": 0.9}, seeds=10)))
    assert "is better than" not in text
    assert "cannot be told from luck" in text


def test_ties_are_ties() -> None:
    first, *others = verdict(study({"a": 0.9, "b": 0.9, "c": 0.1}, seeds=8, noise=0))
    assert first == "a and b have the same mean test accuracy, 90.00% (8 seeds)."
    assert others[0] == "a is better than c by 80.00 points (Holm-corrected p < 0.05)."
    assert not any("lead over b" in sentence for sentence in others)


def test_the_winner_changes_with_the_task() -> None:
    rows = [
        record(init, seed, peak - 0.1 * abs(depth - best) + 0.001 * seed, model={"depth": depth})
        for init, best, peak in (("shallow", 1, 0.9), ("deep", 2, 0.92))
        for depth in (1, 2)
        for seed in range(4)
    ]
    text = " ".join(verdict(Comparison(frame(*rows))))
    assert "deep has the highest" in text
    assert "It changes with the task: the highest mean is that of shallow on mlp on mnist" in text


def test_nothing_and_one() -> None:
    assert verdict(Comparison(frame(record("a", 0, status="failed"))))[0].startswith("Nothing can be compared")
    assert "only initializer" in verdict(Comparison(frame(record("a", 0))))[0]


def test_initializers_that_lack_a_task_are_not_compared_over_all() -> None:
    """b was run on the easy task only, where everything is better: it must not win by that."""
    rows = [record("a", seed, score, model={"depth": d}) for d, score in ((1, 0.9), (2, 0.5)) for seed in (0, 1)]
    rows += [record("b", seed, 0.89, model={"depth": 1}) for seed in (0, 1)]
    comparison = Comparison(frame(*rows))
    assert comparison.overall.index.tolist() == ["a"]
    assert any("no scored run of b" in problem.text for problem in comparison.problems)


def test_seeds_that_some_lack_decide_nothing_between_them() -> None:
    """b lacks the two hard seeds, which a did: over all runs of each b would lead, seed by seed it is behind."""
    rows = [record("a", seed, 0.5 if seed > 3 else 0.9) for seed in range(6)]
    rows += [record("b", seed, 0.85) for seed in range(4)]
    comparison = Comparison(frame(*rows))
    assert comparison.overall["mean"].tolist() == pytest.approx([0.9, 0.85])
    assert comparison.overall.index.tolist() == ["a", "b"]
    assert verdict(comparison)[0].startswith("a has the highest mean test accuracy, 90.00% (4 seeds)")


def test_runs_without_a_seed_in_common_are_not_compared() -> None:
    text = verdict(Comparison(frame(record("a", 0, 0.9), record("b", 1, 0.8))))
    assert text[1] == "It shares no seed with b, so that these cannot be compared with it."


def test_an_initializer_with_few_seeds_takes_none_from_the_others() -> None:
    rows = [record(init, seed, 0.9 + 0.001 * seed) for init in ("a", "b") for seed in range(10)]
    comparison = Comparison(frame(*rows, record("c", 0, 0.99)))
    assert sorted(comparison.overall.index) == ["a", "b"]
    assert len(comparison.everywhere) == 10
    assert any("c has 1 of 10 seeds" in problem.text for problem in comparison.problems)


def test_overall_is_over_task_means() -> None:
    """Task 1 has four seeds and task 2 two: (0.9 + 0.5) / 2, not the mean of six runs."""
    rows = [record("a", seed, 0.9, model={"depth": 1}) for seed in range(4)]
    rows += [record("a", seed, 0.5, model={"depth": 2}) for seed in range(2)]
    assert Comparison(frame(*rows)).overall.at["a", "mean"] == pytest.approx(0.7)


def test_a_lead_is_a_deficit_seen_from_the_other_side() -> None:
    pairs = study({"a": 0.9, "b": 0.8}, seeds=8).pairs
    lead, deficit = against(pairs, "a").loc["b"], against(pairs, "b").loc["a"]
    assert lead["difference"] == -deficit["difference"]
    assert (lead["low"], lead["high"]) == (-deficit["high"], -deficit["low"])


@pytest.mark.slow
def test_under_the_null_a_claim_is_as_rare_as_it_says() -> None:
    """Five equal initializers, ten seeds, 400 studies: a winner in at most 5 %, within a binomial 99 % bound."""
    equal = dict.fromkeys("abcde", 0.8)
    claims = sum("is better than" in " ".join(verdict(study(equal, seeds=10, seed=n))) for n in range(400))
    assert claims <= 20 + 2.33 * (400 * 0.05 * 0.95) ** 0.5
