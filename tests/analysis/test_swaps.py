"""Rows of learning rates swapped and chosen anew, spelled out swap by swap; and its level."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from frames import frame, record
from scipy import stats

from initbench.analysis.comparison import Comparison
from initbench.analysis.flips import sign_flip
from initbench.analysis.selection import scored
from initbench.analysis.swaps import Rows, chosen_differences, swap_test, swapped


def drawn(seeds: int, rates: int, tuning: int | None, seed: int = 0, lead: float = 0.0) -> Rows:
    """Alike, but for `lead` of the first; without tuning seeds a grid in which each seed is scored by the others."""
    generator = np.random.default_rng(seed)
    means = 0.3 * generator.normal(size=rates)
    scores = means + generator.normal(size=(2, seeds, rates))
    scores[0] += lead
    if tuning is None:
        return Rows(0.7 * scores + 0.7 * generator.normal(size=scores.shape), scores, cross_fitted=True)
    return Rows(means + generator.normal(size=(2, tuning, rates)), scores, cross_fitted=False)


@pytest.mark.parametrize("tuning", [None, 2])
def test_every_swap_spelled_out(tuning: int | None) -> None:
    rows = drawn(5, 3, tuning, seed=1)

    def statistic(keeps: tuple[bool, ...]) -> float:
        choosers = rows.choosing.shape[1] if tuning else 0

        def side(values: np.ndarray, init: int, kept: tuple[bool, ...]) -> np.ndarray:
            return np.array([values[init if keep else 1 - init, at] for at, keep in enumerate(kept)])

        means = []
        for init in (0, 1):
            choosing = side(rows.choosing, init, keeps[: choosers or None])
            scores = side(rows.scored, init, keeps[choosers:])
            if tuning:
                means.append(scores[:, choosing.mean(axis=0).argmax()].mean())
            else:
                others = [np.delete(choosing, seed, axis=0).mean(axis=0).argmax() for seed in range(5)]
                means.append(np.mean([scores[seed, rate] for seed, rate in enumerate(others)]))
        return abs(means[0] - means[1])

    every = list(product((True, False), repeat=rows.blocks))
    observed = statistic((True,) * rows.blocks)
    assert swap_test([rows]) == pytest.approx(np.mean([statistic(keeps) >= observed - 1e-12 for keeps in every]))


def test_without_a_choice_it_is_the_sign_flip_test() -> None:
    rows = drawn(9, 1, None, seed=2, lead=0.8)
    differences = rows.scored[0, :, 0] - rows.scored[1, :, 0]
    assert swap_test([rows]) == pytest.approx(sign_flip(differences, [0] * 9))
    halves = [Rows(of.choosing[:, at], of.scored[:, at], True) for of, at in ((rows, slice(0, 4)), (rows, slice(4, 9)))]
    assert swap_test(halves) == pytest.approx(sign_flip(differences, [0] * 4 + [1] * 5))


@pytest.mark.parametrize("tuning, seeds", [(None, 8), (3, 8), (10, 10)])
def test_equal_initializers_differ_as_rarely_as_it_claims(tuning: int | None, seeds: int) -> None:
    found = [swap_test([drawn(seeds, 5, tuning, seed)]) < 0.05 for seed in range(300)]
    assert sum(found) <= stats.binom.ppf(0.999, 300, 0.06)


def test_sign_flips_of_chosen_rates_find_too_much() -> None:
    """Why there is this test at all."""
    found = [sign_flip(chosen_differences(drawn(10, 5, 3, seed)), [0] * 10) < 0.05 for seed in range(600)]
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
    assert chosen_differences(Rows(*arrays, cross_fitted=True)) == pytest.approx((of["a"] - of["b"]).to_numpy())
    (p,) = swapped(runs, comparison.scores)[0].values()
    assert p == swap_test([Rows(*arrays, cross_fitted=True)])


def test_a_whole_grid_is_exact_and_its_p_is_that_of_the_verdict() -> None:
    (found,) = Comparison(frame(*grid())).findings
    assert not found.at_chosen_rates
    assert found.pairs["p"].tolist() == list(swapped(found.runs, found.scores)[0].values())


def test_where_only_the_chosen_rates_were_run_nothing_is_exact() -> None:
    tuning = [record(i, s, 0.7 + lr / 10, lr=lr, tuning=(90, 91)) for i in "ab" for s in (90, 91) for lr in (0.1, 1.0)]
    fresh = [record(init, seed, 0.8 + seed / 100, lr=1.0, tuning=(90, 91)) for init in "ab" for seed in range(6)]
    (found,) = Comparison(frame(*tuning, *fresh)).findings
    assert found.at_chosen_rates
    assert swapped(found.runs, found.scores) == ({}, True)


def test_a_gap_in_the_grid_or_another_grid_is_not_exact() -> None:
    rows = grid()
    for runs in (frame(*rows[1:]), frame(*rows, record("b", 0, 0.5, lr=10.0))):
        assert swapped(runs, Comparison(runs).scores) == ({}, True)


def test_one_rate_is_no_choice() -> None:
    runs = frame(*(record(init, seed, 0.7 + seed / 100) for init in "ab" for seed in range(6)))
    assert swapped(runs, Comparison(runs).scores) == ({}, False)
    assert isinstance(Comparison(runs).findings[0].pairs, pd.DataFrame)
