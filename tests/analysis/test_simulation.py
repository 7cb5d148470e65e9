"""What the tests and intervals claim, by simulation with fixed seeds.

A claim is a probability: of a false positive at most, of coverage at least, as the docstrings state it. Counts are held
to the 0.1 % quantile of the binomial that has just that probability, so that a method which keeps its claim fails one
check in a thousand seeds.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from simulated_studies import (
    ABOUT_SCORES,
    ABOUT_TIMES,
    DISTRIBUTIONS,
    MARGIN,
    is_false,
    said,
    scores,
    times_to_targets,
    verdict_on,
)

from initbench.analysis.statistics.aggregate import interquartile_mean
from initbench.analysis.statistics.blocks import seed_weights
from initbench.analysis.statistics.pairs import compare, holm, improvements
from initbench.analysis.statistics.sign_flips import lower_bound, sign_flip
from initbench.analysis.statistics.student import simultaneous
from initbench.analysis.statistics.survival import hit_rate, log_rank, restricted_mean

Draw = Callable[[np.random.Generator, int], np.ndarray]

ROUNDING = 1e-12


def assert_at_most(events: Iterable[bool], probability: float) -> None:
    happened = list(events)
    assert sum(happened) <= stats.binom.ppf(0.999, len(happened), probability)


def assert_at_least(events: Iterable[bool], probability: float) -> None:
    happened = list(events)
    assert sum(happened) >= stats.binom.ppf(0.001, len(happened), probability)


def covers(limits: tuple[float, ...], truth: float) -> bool:
    low, high = limits[-2:]
    return low - ROUNDING <= truth <= high + ROUNDING


def seeds_in_common(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Scores of initializers that are alike: (blocks, initializers), each block with its own difficulty."""
    return 0.02 * generator.normal(size=(shape[0], 1)) + 0.01 * generator.normal(size=shape)


NULL_SCORES: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "normal": seeds_in_common,
    # A tail of bad runs, as from a loss that now and then blows up
    "skewed": lambda generator, shape: 0.9 - 0.02 * generator.exponential(size=shape) ** 2,
    # Correct answers out of 100 test images: about one difference in seven is 0
    "discrete": lambda generator, shape: generator.binomial(100, 0.9 + seeds_in_common(generator, shape)) / 100,
}


def slow(values: tuple[Any, ...]) -> Any:
    """A case that takes half a minute or more."""
    return pytest.param(*values, marks=pytest.mark.slow)


# Share of studies of equal initializers in which any sentence may be false
LEVEL = 0.06


def claims(
    inits: int, seeds: int, workloads: int, studies: int, about: Sequence[str], times: bool = False, **asked: str
) -> list[bool]:
    """Whether anything is claimed in studies of equal initializers, so many of each distribution."""
    generator = np.random.default_rng((inits, seeds, workloads))
    tables = [
        scores(generator, distribution, inits, seeds, workloads)
        for distribution in DISTRIBUTIONS
        for _ in range(studies)
    ]
    return [
        said(verdict_on(table, times=times_to_targets(generator, table) if times else None, **asked), about)
        for table in tables
    ]


@pytest.mark.parametrize(
    "inits, seeds, workloads, studies",
    [
        (2, 3, 1, 30),
        (4, 5, 1, 30),
        (2, 10, 4, 15),
        *map(slow, [(2, 10, 1, 40), (8, 3, 1, 30), (8, 10, 1, 30), (4, 3, 4, 25)]),
    ],
)
def test_no_sentence_about_scores_is_false_more_often_than_it_says(
    inits: int, seeds: int, workloads: int, studies: int
) -> None:
    assert_at_most(claims(inits, seeds, workloads, studies, ABOUT_SCORES), LEVEL)


@pytest.mark.parametrize(
    "inits, seeds, workloads, studies", [*map(slow, [(2, 6, 1, 20), (4, 10, 1, 15)]), (3, 6, 3, 10)]
)
def test_no_sentence_about_times_is_false_more_often_than_it_says(
    inits: int, seeds: int, workloads: int, studies: int
) -> None:
    """Three targets of each workload; initializers are alike, and which target is told is chosen by the results."""
    assert_at_most(claims(inits, seeds, workloads, studies, ABOUT_TIMES, times=True), LEVEL)


@pytest.mark.parametrize("inits, seeds", [(4, 8), slow((8, 10))])
def test_a_reference_is_not_told_apart_more_often_than_it_says(inits: int, seeds: int) -> None:
    assert_at_most(claims(inits, seeds, 1, 25, ABOUT_SCORES, reference="init0"), LEVEL)


@pytest.mark.parametrize("inits, seeds", [(2, 4), slow((2, 8))])
def test_several_comparisons_share_the_level(inits: int, seeds: int) -> None:
    """Four sets of initializers that have nothing in common; also where only the runs themselves can be apart."""
    generator = np.random.default_rng((inits, seeds))

    def is_any_claimed() -> bool:
        parts = []
        for number in range(4):
            table = scores(generator, "normal", inits, seeds).rename({"workload 0": f"workload {number}"})
            parts.append(table.rename(columns={init: f"{init} of {number}" for init in table}))
        return said(verdict_on(pd.concat(parts)), ABOUT_SCORES)

    assert_at_most((is_any_claimed() for _ in range(120)), LEVEL)


@pytest.mark.parametrize(
    "means, seeds, workloads, reference",
    [
        ([0, 0, -1, -1], 8, 1, None),
        slow(([0, 0, -5, -5, -5, -5], 10, 4, None)),
        slow(([1, 0, 0, 0], 6, 1, None)),
        ([0, 0, -1, 1], 8, 1, "init0"),
        slow(([0, 0, 1, 1], 6, 4, "init0")),
    ],
)
def test_where_some_differ_nothing_is_said_of_those_that_do_not(
    means: list[float], seeds: int, workloads: int, reference: str | None
) -> None:
    generator = np.random.default_rng((seeds, workloads))
    truth = {f"init{number}": mean for number, mean in enumerate(means)}
    tables = (
        scores(generator, of, len(means), seeds, workloads, means)
        for of in ("normal", "skewed", "discrete", "bimodal")
        for _ in range(40)
    )
    assert_at_most((is_false(verdict_on(table, reference), truth) for table in tables), LEVEL)


@pytest.mark.slow
@pytest.mark.parametrize("workloads", [1, 4])
@pytest.mark.parametrize("seeds", [3, 5, 10, 20])
@pytest.mark.parametrize("inits", [2, 4, 8])
def test_no_sentence_at_all_is_false_more_often_than_it_says(inits: int, seeds: int, workloads: int) -> None:
    """The whole grid, 240 studies of each cell; scripts/bench_verdict.py has the shares themselves."""
    for about in (ABOUT_SCORES, ABOUT_TIMES):
        assert_at_most(claims(inits, seeds, workloads, 20, about, times=True), LEVEL)


@pytest.mark.parametrize("inits", [pytest.param(2, marks=pytest.mark.slow), 4])
def test_initializers_that_differ_by_the_margin_are_rarely_called_equal(inits: int) -> None:
    generator = np.random.default_rng(9)

    def is_called_equal() -> bool:
        table = 0.3 * scores(generator, "normal", inits, 12)
        table["init0"] += MARGIN
        (found,) = verdict_on(table).comparison.findings
        return bool(found.equal) and "init0" in {found.leader, *found.equal}

    assert_at_most((is_called_equal() for _ in range(200)), LEVEL)


def test_the_best_is_verified_where_holm_over_all_pairs_finds_nothing() -> None:
    """Ahead of seven others by 1 point, standard deviation 0.5, correlation 0.3, ten seeds: 28 pairs need 11."""
    generator = np.random.default_rng(10)
    verified, by_holm = 0, 0
    for _ in range(200):
        pairs = compare(0.5 * scores(generator, "normal", 8, 10, leads=[2.0])).query("a == 'init0'")
        verified += len(pairs) == 7 and bool((pairs["p"] < 0.05).all())
        by_holm += len(pairs) == 7 and bool((pairs["p_holm"] < 0.05).all())
    assert verified >= stats.binom.ppf(0.01, 200, 0.95)
    assert by_holm == 0


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_the_leads_of_the_best_are_covered_all_at_once(distribution: str) -> None:
    generator = np.random.default_rng(11)

    def covers_all() -> bool:
        values = scores(generator, distribution, 8, 10).to_numpy()
        best = values.mean(axis=0).argmax()
        low, high = simultaneous(values[:, [best]] - np.delete(values, best, axis=1), comparisons=28)
        return bool(((low <= 0) & (high >= 0)).all())

    assert_at_least((covers_all() for _ in range(400)), 0.95)


@pytest.mark.parametrize("lead", [0.0, 0.5, 3.0])
def test_the_least_lead_of_a_winner_covers(lead: float) -> None:
    """Whoever is verified to be the best: of the studies, at most one in twenty says more than is true."""
    generator = np.random.default_rng(12)
    means = np.array([lead, 0.0, 0.0, -0.5])

    def says_too_much() -> bool:
        values = scores(generator, "normal", 4, 8, leads=means.tolist()).to_numpy()
        best = values.mean(axis=0).argmax()
        least = lower_bound(values[:, [best]] - np.delete(values, best, axis=1), np.ones(8)).min()
        return bool(least > max(means[best] - np.delete(means, best).max(), 0 if lead else -np.inf))

    assert_at_most((says_too_much() for _ in range(400)), 0.05)


@pytest.mark.parametrize("seeds, claimed", [(10, 0.9), (20, 0.93)])
def test_where_one_run_in_five_fails_the_interquartile_mean_covers(seeds: int, claimed: float) -> None:
    """Student's interval of the mean covers 0.87 there, and 0.48 with three seeds."""
    generator = np.random.default_rng(13)
    truth = stats.trim_mean(DISTRIBUTIONS["bimodal"](generator, (1_000_000, 1))[:, 0], 0.25)
    index = pd.MultiIndex.from_product([["w"], range(seeds)], names=["workload", "seed"])

    def limits() -> tuple[float, ...]:
        drawn = pd.DataFrame(DISTRIBUTIONS["bimodal"](generator, (seeds, 1)), index)
        return tuple(interquartile_mean(drawn).iloc[0][["low", "high"]])

    assert_at_least((covers(limits(), truth) for _ in range(400)), claimed)


@pytest.mark.parametrize("drawn", NULL_SCORES)
@pytest.mark.parametrize("seeds, simulations", [(5, 1000), (8, 1000), (10, 1000), (24, 200)])
def test_sign_flip_finds_no_more_than_it_claims(seeds: int, simulations: int, drawn: str) -> None:
    generator = np.random.default_rng(0)
    pairs = (NULL_SCORES[drawn](generator, (seeds, 2)).T for _ in range(simulations))
    p_values = [sign_flip(a - b) for a, b in pairs]
    for alpha in (0.05, 0.1, 0.3):
        assert_at_most((p <= alpha for p in p_values), alpha)
    if drawn != "discrete":  # Without ties p is uniform on the multiples of 2 / 2^seeds: nothing is given away.
        assert_at_least((p <= 0.3 for p in p_values), math.floor(0.3 * 2 ** (seeds - 1)) / 2 ** (seeds - 1))


@pytest.mark.parametrize("apart", [0.01, 0.2])
@pytest.mark.parametrize("workloads, seeds", [(2, 6), (2, 10), (4, 8)])
def test_sign_flip_finds_no_mean_where_workloads_disagree_and_cancel(workloads: int, seeds: int, apart: float) -> None:
    """Each workload has a winner, by as much as another's loser loses; over all nobody wins."""
    generator, labels = np.random.default_rng(8), np.repeat(range(workloads), seeds)
    matrix = seed_weights(labels, np.tile(range(seeds), workloads))
    effects = np.where(labels % 2, apart, -apart)
    draws = (effects + 0.01 * generator.normal(size=labels.size) for _ in range(300))
    assert_at_most((sign_flip(matrix @ differences) <= 0.05 for differences in draws), 0.05)


def test_runs_of_one_seed_on_several_workloads_are_one_observation() -> None:
    """Why signs are flipped seed by seed: where a run is as good on each workload, flips of blocks find too much."""
    generator, labels, seeds = np.random.default_rng(14), np.repeat(range(4), 8), np.tile(range(8), 4)
    once, apart = seed_weights(labels, seeds), seed_weights(labels, range(32))
    drawn = [np.tile(generator.normal(size=8), 4) + 0.5 * generator.normal(size=32) for _ in range(300)]
    assert_at_most((sign_flip(once @ differences) <= 0.05 for differences in drawn), 0.05)
    assert np.mean([sign_flip(apart @ differences) <= 0.05 for differences in drawn]) > 0.2


@pytest.mark.parametrize("drawn", NULL_SCORES)
def test_holm_finds_nothing_among_initializers_alike(drawn: str) -> None:
    """The chance of any false finding among the ten pairs of five initializers over ten seeds."""
    generator, pairs = np.random.default_rng(1), np.transpose(np.triu_indices(5, 1))

    def found() -> bool:
        values = NULL_SCORES[drawn](generator, (10, 5))
        return bool(holm([sign_flip(values[:, a] - values[:, b]) for a, b in pairs]).min() <= 0.05)

    assert_at_most((found() for _ in range(400)), 0.05)


@pytest.mark.parametrize("times", ["continuous", "few evaluations"])
@pytest.mark.parametrize("runs_a, runs_b, simulations", [(5, 5, 1000), (4, 6, 1000), (3, 3, 500), (10, 10, 100)])
def test_log_rank_finds_no_more_than_it_claims(runs_a: int, runs_b: int, simulations: int, times: str) -> None:
    """40 % of the runs do not reach the target by the horizon."""
    generator, horizon = np.random.default_rng(2), -math.log(0.4)

    def p_value() -> float:
        drawn = generator.exponential(size=runs_a + runs_b)
        if times == "few evaluations":
            drawn = np.ceil(drawn / horizon * 5) * horizon / 5  # on one of five before the horizon
        reached = drawn <= horizon + ROUNDING
        seen = np.where(reached, drawn, horizon)
        return log_rank(seen[:runs_a], reached[:runs_a], seen[runs_a:], reached[runs_a:])

    p_values = [p_value() for _ in range(simulations)]
    for alpha in (0.05, 0.2):
        assert_at_most((p <= alpha for p in p_values), alpha)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
@pytest.mark.parametrize("runs", [1, 3, 5, 10, 20])
def test_hit_rate_covers_at_every_rate(runs: int, confidence: float) -> None:
    """Not simulated: its coverage at a rate is a sum of binomial probabilities."""
    rates = np.linspace(0.001, 0.999, 999)
    coverage = np.zeros(rates.size)
    for hits in range(runs + 1):
        _, low, high = hit_rate(np.arange(runs) < hits, confidence)
        coverage += stats.binom.pmf(hits, runs, rates) * ((low <= rates) & (rates <= high))
    assert coverage.min() >= confidence


@pytest.mark.parametrize("runs", [5, 10, 20])
@pytest.mark.parametrize(
    "rate, first, last, claimed", [(0.1, 0, 1, 0.88), (0.5, 0, 1, 0.91), (0.5, 0.8, 0.9, 0.94), (1.0, 0, 1, 0.94)]
)
def test_restricted_mean_covers_as_it_claims(rate: float, first: float, last: float, claimed: float, runs: int) -> None:
    """A share of the runs reaches the target, at times spread evenly between two; the rest is watched until 1."""
    generator, truth = np.random.default_rng(4), rate * (first + last) / 2 + (1 - rate)

    def limits() -> tuple[float, ...]:
        reached = generator.random(runs) < rate
        return restricted_mean(np.where(reached, generator.uniform(first, last, runs), 1.0), reached, 1.0)

    assert_at_least((covers(limits(), truth) for _ in range(1000)), claimed)


def test_restricted_mean_covers_with_runs_interrupted_early() -> None:
    generator = np.random.default_rng(5)

    def limits() -> tuple[float, ...]:
        times, interrupted = generator.random(10), 3 * generator.random(10)  # one in six before it is done
        return restricted_mean(np.minimum(times, interrupted), times <= interrupted, 1.0)

    assert_at_least((covers(limits(), 0.5) for _ in range(1500)), 0.93)


@pytest.mark.slow
@pytest.mark.parametrize(
    "workloads, seeds, apart, claimed",
    [(1, 5, 0, 0.93), (1, 10, 0, 0.95), (3, 3, 0, 0.91), (3, 3, 0.5, 0.82), (3, 5, 0.5, 0.86), (3, 10, 0.5, 0.9)],
)
def test_interquartile_mean_covers_as_it_claims(workloads: int, seeds: int, apart: float, claimed: float) -> None:
    """Exponential losses from each workload's level, workloads so far apart: the truth is that of a million runs."""
    generator = np.random.default_rng(6)
    levels = apart * np.arange(workloads)[:, None]
    truth = stats.trim_mean(
        (levels - 0.1 * generator.exponential(size=(workloads, 1_000_000 // workloads))).ravel(), 0.25
    )
    index = pd.MultiIndex.from_product([range(workloads), range(seeds)], names=["workload", "seed"])
    drawn = ((levels - 0.1 * generator.exponential(size=(workloads, seeds))).ravel() for _ in range(500))
    limits = (interquartile_mean(pd.DataFrame({"a": score}, index)).loc["a", ["low", "high"]] for score in drawn)
    assert_at_least((covers(tuple(pair), truth) for pair in limits), claimed)


@pytest.mark.slow
@pytest.mark.parametrize("workloads, seeds, claimed", [(1, 5, 0.91), (1, 10, 0.94), (3, 3, 0.93)])
@pytest.mark.parametrize("correlation", [0, 0.8])
@pytest.mark.parametrize("effect", [0.5, 2])
def test_improvement_covers_as_it_claims(
    workloads: int, seeds: int, claimed: float, correlation: float, effect: float
) -> None:
    generator = np.random.default_rng(7)
    index = pd.MultiIndex.from_product([range(workloads), range(seeds)], names=["workload", "seed"])
    truth = stats.norm.cdf(effect / math.sqrt(2))  # that of two seeds, which have nothing in common

    def limits() -> tuple[float, ...]:
        common = math.sqrt(correlation) * generator.normal(size=(len(index), 1))
        own = math.sqrt(1 - correlation) * generator.normal(size=(len(index), 2))
        drawn = pd.DataFrame(common + own + [effect, 0], index, columns=["better", "worse"])
        return improvements(drawn, [("better", "worse")])["better", "worse"][1:]

    assert_at_least((covers(limits(), truth) for _ in range(400)), claimed)
