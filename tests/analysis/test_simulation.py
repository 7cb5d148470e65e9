"""What the tests and intervals claim, by simulation with fixed seeds.

A claim is a probability: of a false positive at most, of coverage at least, as the docstrings state it. Counts are held
to the 0.1 % quantile of the binomial that has just that probability, so that a method which keeps its claim fails one
check in a thousand seeds.
"""

import math
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from initbench.analysis.aggregate import interquartile_mean
from initbench.analysis.paired import compare, holm, interval, sign_flip
from initbench.analysis.survival import hit_rate, log_rank, restricted_mean

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


@pytest.mark.parametrize("scores", NULL_SCORES)
@pytest.mark.parametrize(
    "tasks, seeds, simulations", [(1, 5, 1000), (1, 8, 1000), (1, 10, 1000), (3, 5, 1000), (3, 8, 400), (3, 10, 150)]
)
def test_sign_flip_finds_no_more_than_it_claims(tasks: int, seeds: int, simulations: int, scores: str) -> None:
    generator, labels = np.random.default_rng(0), np.repeat(range(tasks), seeds)
    p_values = [
        sign_flip(a - b, labels)
        for a, b in (NULL_SCORES[scores](generator, (labels.size, 2)).T for _ in range(simulations))
    ]
    for alpha in (0.05, 0.1, 0.3):
        assert_at_most((p <= alpha for p in p_values), alpha)
    if scores != "discrete":  # Without ties p is uniform on the multiples of 2 / 2^blocks: nothing is given away.
        assert_at_least((p <= 0.3 for p in p_values), math.floor(0.3 * 2 ** (labels.size - 1)) / 2 ** (labels.size - 1))


@pytest.mark.parametrize("apart", [0.01, 0.2])
@pytest.mark.parametrize("tasks, seeds", [(2, 5), (2, 8), (4, 4)])
def test_sign_flip_finds_no_mean_where_tasks_disagree_and_cancel(tasks: int, seeds: int, apart: float) -> None:
    """Not what is exact: each task has a winner, by as much as another's loser loses; over all of them nobody wins."""
    generator, labels = np.random.default_rng(8), np.repeat(range(tasks), seeds)
    effects = np.where(labels % 2, apart, -apart)
    draws = (effects + 0.01 * generator.normal(size=labels.size) for _ in range(300))
    assert_at_most((sign_flip(differences, labels) <= 0.05 for differences in draws), 0.06)


@pytest.mark.parametrize("scores", NULL_SCORES)
def test_holm_finds_nothing_among_initializers_alike(scores: str) -> None:
    """The chance of any false finding among the ten pairs of five initializers over ten seeds."""
    generator, pairs = np.random.default_rng(1), np.transpose(np.triu_indices(5, 1))

    def found() -> bool:
        values = NULL_SCORES[scores](generator, (10, 5))
        return bool(holm([sign_flip(values[:, a] - values[:, b], [0] * 10) for a, b in pairs]).min() <= 0.05)

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


@pytest.mark.parametrize(
    "differences, tasks, seeds, claimed",
    [
        ("normal", 1, 5, 0.94),
        ("normal", 1, 10, 0.95),
        ("normal", 3, 3, 0.95),
        ("exponential", 1, 5, 0.93),
        ("exponential", 3, 3, 0.95),
        ("discrete", 1, 5, 0.95),
        ("discrete", 1, 10, 0.95),
        ("mostly 0", 1, 10, 0.89),
    ],
)
def test_interval_covers_as_it_claims(differences: str, tasks: int, seeds: int, claimed: float) -> None:
    draw: Draw = {
        "normal": lambda generator, n: 0.01 * generator.normal(size=n),
        "exponential": lambda generator, n: 0.01 * (generator.exponential(size=n) - 1),
        "discrete": lambda generator, n: np.round(generator.normal(size=n)) / 100,  # 38 % of them 0
        "mostly 0": lambda generator, n: np.round(generator.normal(size=n) / 2) / 100,  # 68 %
    }[differences]
    generator, labels = np.random.default_rng(3), np.repeat(range(tasks), seeds)
    assert_at_least((covers(interval(draw(generator, labels.size), labels), 0.0) for _ in range(500)), claimed)


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
    "tasks, seeds, apart, claimed",
    [(1, 5, 0, 0.93), (1, 10, 0, 0.95), (3, 3, 0, 0.91), (3, 3, 0.5, 0.82), (3, 5, 0.5, 0.86), (3, 10, 0.5, 0.9)],
)
def test_interquartile_mean_covers_as_it_claims(tasks: int, seeds: int, apart: float, claimed: float) -> None:
    """Exponential losses from each task's level, tasks so far apart: the truth is that of a million runs."""
    generator = np.random.default_rng(6)
    levels = apart * np.arange(tasks)[:, None]
    truth = stats.trim_mean((levels - 0.1 * generator.exponential(size=(tasks, 1_000_000 // tasks))).ravel(), 0.25)
    index = pd.MultiIndex.from_product([range(tasks), range(seeds)], names=["task", "seed"])
    scores = ((levels - 0.1 * generator.exponential(size=(tasks, seeds))).ravel() for _ in range(500))
    limits = (interquartile_mean(pd.DataFrame({"a": score}, index)).loc["a", ["low", "high"]] for score in scores)
    assert_at_least((covers(tuple(pair), truth) for pair in limits), claimed)


@pytest.mark.slow
@pytest.mark.parametrize("tasks, seeds, claimed", [(1, 5, 0.91), (1, 10, 0.94), (3, 3, 0.93)])
@pytest.mark.parametrize("correlation", [0, 0.8])
@pytest.mark.parametrize("effect", [0.5, 2])
def test_improvement_covers_as_it_claims(
    tasks: int, seeds: int, claimed: float, correlation: float, effect: float
) -> None:
    generator = np.random.default_rng(7)
    index = pd.MultiIndex.from_product([range(tasks), range(seeds)], names=["task", "seed"])
    truth = stats.norm.cdf(effect / math.sqrt(2))  # that of two seeds, which have nothing in common

    def limits() -> tuple[float, ...]:
        common = math.sqrt(correlation) * generator.normal(size=(len(index), 1))
        own = math.sqrt(1 - correlation) * generator.normal(size=(len(index), 2))
        row = compare(pd.DataFrame(common + own + [effect, 0], index, columns=["better", "worse"])).iloc[0]
        low, high = row["improvement_low"], row["improvement_high"]
        return (low, high) if row["a"] == "better" else (1 - high, 1 - low)

    assert_at_least((covers(limits(), truth) for _ in range(400)), claimed)
