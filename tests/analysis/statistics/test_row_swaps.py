"""Rows of learning rates swapped and chosen anew, spelled out swap by swap; and its level."""

from collections.abc import Hashable, Sequence
from itertools import product

import numpy as np
import pandas as pd
import pytest
from frames import frame, record
from scipy import stats

from initbench.analysis.comparison.chosen_rates import ChosenRates, chosen_rates
from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.more_seeds import seeds_for
from initbench.analysis.statistics.blocks import seed_weights
from initbench.analysis.statistics.row_swaps import Rows, chosen_differences, swap_test
from initbench.analysis.statistics.sign_flips import Alternative, sign_flip
from initbench.analysis.verdict.sentences import sentences
from initbench.analysis.workload.learning_rate import scored


def drawn(seeds: int, rates: int, tuning: int | None, seed: int = 0, lead: float = 0.0) -> Rows:
    """Alike, but for `lead` of the first; without tuning seeds a grid in which each seed is scored by the others."""
    generator = np.random.default_rng(seed)
    means = 0.3 * generator.normal(size=rates)
    scores = means + generator.normal(size=(2, seeds, rates))
    scores[0] += lead
    if tuning is None:
        choosing = 0.7 * scores + 0.7 * generator.normal(size=scores.shape)
        return Rows(choosing, scores, tuple(range(seeds)), cross_fitted=True)
    choosing = means + generator.normal(size=(2, tuning, rates))
    return Rows(choosing, scores, tuple(range(-tuning, seeds)), cross_fitted=False)


def spelled_out(rows: Rows, keeps: dict[Hashable, bool]) -> float:
    """The difference of the mean scores with some seeds' rows swapped, and the rates chosen anew."""
    choosers = [] if rows.cross_fitted else [*rows.seeds[: rows.choosing.shape[1]]]
    scored = rows.seeds[len(choosers) :]

    def side(values: np.ndarray, init: int, seeds: Sequence[Hashable]) -> np.ndarray:
        return np.array([values[init if keeps[seed] else 1 - init, at] for at, seed in enumerate(seeds)])

    means = []
    for init in (0, 1):
        choosing = side(rows.choosing, init, choosers or scored)
        scores = side(rows.scored, init, scored)
        if choosers:
            means.append(scores[:, choosing.mean(axis=0).argmax()].mean())
        else:
            others = [np.delete(choosing, at, axis=0).mean(axis=0).argmax() for at in range(len(scored))]
            means.append(np.mean([scores[at, rate] for at, rate in enumerate(others)]))
    return float(means[0] - means[1])


@pytest.mark.parametrize("tuning", [None, 2])
@pytest.mark.parametrize("workloads", [1, 2])
def test_every_swap_spelled_out(tuning: int | None, workloads: int) -> None:
    """A seed is swapped on all workloads at once."""
    rows = [drawn(5, 3, tuning, seed=1 + workload, lead=0.5) for workload in range(workloads)]
    labels = rows[0].seeds
    every = [dict(zip(labels, keeps, strict=True)) for keeps in product((True, False), repeat=len(labels))]
    values = np.array([np.mean([spelled_out(of, keeps) for of in rows]) for keeps in every])
    assert swap_test(rows) == pytest.approx((np.abs(values) >= abs(values[0]) - 1e-12).mean())
    assert swap_test(rows, "greater") == pytest.approx((values >= values[0] - 1e-12).mean())
    assert swap_test(rows, "less") == pytest.approx((values <= values[0] + 1e-12).mean())


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_without_a_choice_it_is_the_sign_flip_test(alternative: Alternative) -> None:
    rows = drawn(9, 1, None, seed=2, lead=0.8)
    differences = rows.scored[0, :, 0] - rows.scored[1, :, 0]
    assert swap_test([rows], alternative) == pytest.approx(sign_flip(differences, alternative))
    parts = slice(0, 4), slice(4, 9)
    halves = [Rows(rows.choosing[:, at], rows.scored[:, at], rows.seeds[at], True) for at in parts]
    values = seed_weights([0] * 4 + [1] * 5, range(9)) @ differences
    assert swap_test(halves, alternative) == pytest.approx(sign_flip(values, alternative))


@pytest.mark.parametrize("tuning, seeds", [(None, 8), (3, 8), (10, 10)])
def test_equal_initializers_differ_as_rarely_as_it_claims(tuning: int | None, seeds: int) -> None:
    found = [swap_test([drawn(seeds, 5, tuning, seed)]) < 0.05 for seed in range(300)]
    assert sum(found) <= stats.binom.ppf(0.999, 300, 0.06)


def test_sign_flips_of_chosen_rates_find_too_much() -> None:
    """Why there is this test at all."""
    found = [sign_flip(chosen_differences(drawn(10, 5, 3, seed))) < 0.05 for seed in range(600)]
    assert sum(found) > stats.binom.ppf(0.999, 600, 0.06)


def grid(lead: float = 0.05, seeds: int = 7, **parts: object) -> list[dict[str, object]]:
    generator = np.random.default_rng(5)
    return [
        record(init, seed, 0.7 + (init == "a") * lead + 0.02 * generator.normal(), lr=lr, **parts)
        for init in ("a", "b")
        for seed in range(seeds)
        for lr in (0.01, 0.1, 1.0)
    ]


def test_the_chosen_runs_are_those_that_are_scored() -> None:
    runs = frame(*grid())
    comparison = Comparison(runs)
    values, _ = scored(runs)
    of = {init: values[values["init"] == init].set_index("seed")["score"] for init in ("a", "b")}
    arrays = [
        np.stack([runs[runs["init"] == init].pivot(index="seed", columns="lr", values=column) for init in ("a", "b")])
        for column in ("selection_score", "score")
    ]
    assert chosen_differences(Rows(*arrays, tuple(range(7)), cross_fitted=True)) == pytest.approx(
        (of["a"] - of["b"]).to_numpy()
    )
    (p,) = chosen_rates(runs, comparison.scores).p.values()
    assert p == swap_test([Rows(*arrays, tuple(range(7)), cross_fitted=True)])


def test_a_whole_grid_is_exact_and_its_p_is_that_of_the_verdict() -> None:
    (found,) = Comparison(frame(*grid())).findings
    assert found.chosen_rates.rows
    assert not found.chosen_rates.tuned
    assert found.pairs["p"].tolist() == list(chosen_rates(found.runs, found.scores).p.values())


def test_what_swaps_leave_open_takes_more_seeds_than_there_are() -> None:
    """The differences at the chosen rates do not have the luck of the choice in them."""
    generator, opened = np.random.default_rng(0), 0
    for _ in range(20):
        rows = [
            record(init, n, 0.7 + 0.01 * (init == "a") + 0.05 * generator.random(), lr=lr, hits=(None, None))
            for init in "ab"
            for n in range(8)
            for lr in (0.1, 0.2, 0.4)
        ]
        (found,) = Comparison(frame(*rows), margin=30.0).findings
        (rival,) = found.rivals.index
        if 0.05 <= found.rivals.at[rival, "p"] < 0.5:
            opened += 1
            needed = seeds_for(found, rival, abs(found.rivals.at[rival, "difference"]))
            assert needed is not None
            assert needed > 8
    assert opened > 3


def test_a_lead_that_only_swaps_verify_has_no_bound() -> None:
    """The bound is of the flips, which do not know of the choice."""
    unbounded = 0
    for attempt in range(60):
        generator = np.random.default_rng(attempt)
        rows = [
            record(init, n, 0.7 + 0.02 * (init == "a") + 0.05 * generator.random(), lr=lr, hits=(None, None))
            for init in "ab"
            for n in range(8)
            for lr in (0.1, 0.2, 0.4)
        ]
        comparison = Comparison(frame(*rows))
        (found,) = comparison.findings
        if found.winner is not None and found.least_lead <= 0:
            unbounded += 1
            assert not any("confidence" in sentence.text for sentence in sentences(comparison))
    assert unbounded


def test_where_only_the_chosen_rates_were_run_nothing_is_exact() -> None:
    tuning = [record(i, s, 0.7 + lr / 10, lr=lr, tuning=(90, 91)) for i in "ab" for s in (90, 91) for lr in (0.1, 1.0)]
    fresh = [record(init, seed, 0.8 + seed / 100, lr=1.0, tuning=(90, 91)) for init in "ab" for seed in range(6)]
    (found,) = Comparison(frame(*tuning, *fresh)).findings
    assert found.chosen_rates.tuned
    assert not found.chosen_rates.rows
    assert chosen_rates(found.runs, found.scores) == ChosenRates({}, tuned=("a", "b"))


def test_a_seed_that_lacks_a_rate_is_left_out_of_the_chosen_rates() -> None:
    rows = grid()
    (gap, *rest) = rows
    runs = frame({**gap, "status": "failed", "results": {}}, *rest)
    (of,) = chosen_rates(runs, Comparison(runs).scores).rows.values()
    (swapped,) = of.values()
    whole = frame(*(row for row in rest if row["seed"] != gap["seed"]))
    (of,) = chosen_rates(whole, Comparison(whole).scores).rows.values()
    (expected,) = of.values()
    assert swapped.seeds == expected.seeds
    assert swapped.choosing == pytest.approx(expected.choosing)


def test_with_another_grid_p_does_not_allow_for_the_choice_and_the_verdict_says_so() -> None:
    one_rate = [row for row in grid() if row["init"] == "a" or row["config"]["optimizer"]["lr"] == 0.1]
    for rows, unmatched in (([*grid(), record("b", 0, 0.5, lr=10.0)], ("a", "b")), (one_rate, ("a",))):
        runs = frame(*rows)
        comparison = Comparison(runs)
        assert chosen_rates(runs, comparison.scores) == ChosenRates({}, unmatched=unmatched)
        (text,) = [sentence.text for sentence in sentences(comparison) if sentence.kind == "rates"]
        assert f"of {' and '.join(unmatched)} were chosen from these runs. The p values do not allow for that" in text


def test_those_that_were_not_tuned_are_named() -> None:
    tuning = [record("a", s, 0.7 + lr / 10, lr=lr, tuning=(90, 91)) for s in (90, 91) for lr in (0.1, 1.0)]
    fresh = [record("a", seed, 0.8 + seed / 100, lr=1.0, tuning=(90, 91)) for seed in range(6)]
    comparison = Comparison(frame(*tuning, *fresh, *(record("b", seed, 0.7 + seed / 100) for seed in range(6))))
    (text,) = [sentence.text for sentence in sentences(comparison) if sentence.kind == "rates"]
    assert text.startswith("The learning rates of a were tuned first")
    assert text.endswith("b did not have theirs tuned, so the comparison favours the tuned.")


def test_one_rate_is_no_choice() -> None:
    runs = frame(*(record(init, seed, 0.7 + seed / 100) for init in "ab" for seed in range(6)))
    assert chosen_rates(runs, Comparison(runs).scores) == ChosenRates({})
    assert isinstance(Comparison(runs).findings[0].pairs, pd.DataFrame)


@pytest.mark.parametrize("lacking", ["grid", "none"])
def test_a_test_is_exact_only_if_it_is_on_every_workload(lacking: str) -> None:
    """On the second one b was not run at one of the rates."""
    second = grid(model={"depth": 3})
    if lacking == "grid":
        second = [row for row in second if row["init"] == "a" or row["config"]["optimizer"]["lr"] < 1]  # type: ignore[index]  # records are plain dicts
    runs = frame(*grid(), *second)
    found = chosen_rates(runs, Comparison(runs).scores)
    assert [len(of) for of in found.rows.values()] == ([2] if lacking == "none" else [])
    assert found.unmatched == (() if lacking == "none" else ("a", "b"))


def test_of_two_seeds_each_is_scored_at_the_rate_that_the_other_chooses() -> None:
    rows = drawn(2, 4, None, seed=3)
    every = [dict(zip(rows.seeds, keeps, strict=True)) for keeps in product((True, False), repeat=2)]
    values = [spelled_out(rows, keeps) for keeps in every]
    assert chosen_differences(rows).mean() == pytest.approx(values[0])
    assert swap_test([rows]) == pytest.approx((np.abs(values) >= abs(values[0]) - 1e-12).mean())


@pytest.mark.parametrize("seeds, p", [(11, 2 / 2**11), (14, 2 / 2**14), (15, 1 / 10_000)])
def test_up_to_fourteen_seeds_every_swap_is_tried(seeds: int, p: float) -> None:
    scores = np.stack([np.arange(1.0, seeds + 1), np.zeros(seeds)])[:, :, None]
    assert swap_test([Rows(scores, scores, tuple(range(seeds)), cross_fitted=True)]) == p
