"""Paired comparison of initializers: with the same seed they see the same batches in the same order.

`scores` is a frame with index (task, seed), one column an initializer, values in [0, 1], NaN where a run is missing.
A block is a (task, seed). The statistic is always the mean over tasks of the mean over seeds, so that every task counts
the same however many seeds it has. What is said holds of these tasks; tasks are not a sample of anything.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr, stdtrit

from initbench.analysis.survival import unseen

Array = npt.NDArray[np.float64]

RESAMPLES = 9_999  # with it 2.5 % and 97.5 % are whole order statistics: Davison & Hinkley 1997, chapter 5
FLIPS = 99_999  # Monte Carlo's smallest p, 1e-5, leaves 1035 comparisons (46 initializers) room under Holm
EXACT_UP_TO = 18  # differences: 2^18 flips, as many as 46 initializers need at 1 % under Holm
SEEDS_NEEDED = (5, 3)  # for an interval: of the task where there is one, of each of several


def sign_flip(differences: npt.ArrayLike, tasks: npt.ArrayLike) -> float:
    """Two-sided p value that differences are symmetric about 0, as they are if the two initializers are alike.

    differences: (blocks,) without NaN; tasks: (blocks,) labels. The statistic is the mean over tasks of the mean over
    seeds, divided by its standard error within tasks where every one of several tasks has two seeds or more; with one
    task the division changes no order of flips. Without it, an initializer that loses every seed of one task by 10
    points and wins every seed of another by 30 would seem to have won by luck: flips that mix wins and losses within a
    task reach its mean now and then, but never as steadily.

    Exact by enumeration up to 18 differences other than 0 (a 0 has no sign to flip); beyond, 99999 random flips from a
    fixed generator, the observed signs counted among them so that p is never too small. 1.0 where all are 0.

    Source: Fisher 1935, The Design of Experiments; Janssen 1997 and Chung & Romano 2013 for studentizing; Phipson &
    Smyth 2010 for the random flips.
    """
    values, sizes = _by_task(differences, tasks)
    by_task = np.split(values, np.cumsum(sizes)[:-1]) if sizes else []
    signed = [task[task != 0] for task in by_task]
    if not sum(task.size for task in signed):
        return 1.0
    squares = [float(task @ task) for task in by_task]
    # Sums that are equal on paper differ in their last bits, and each must count as equal.
    slack = 1e-9 * float(np.abs(values) @ _weights(sizes))
    bound = _steadiness([task.sum() for task in by_task], squares, sizes, slack)
    if sum(task.size for task in signed) <= EXACT_UP_TO:
        # The sums of each task along an axis of its own: together, all flips.
        sums = np.meshgrid(*map(_signed_sums, signed), indexing="ij", sparse=True)
        return float((_steadiness(sums, squares, sizes) >= bound).mean())
    rng = np.random.default_rng(0)
    flipped = _steadiness([_random_sums(task, rng) for task in signed], squares, sizes)
    return float((np.count_nonzero(flipped >= bound) + 1) / (FLIPS + 1))


def _steadiness(sums: Sequence[Any], squares: Sequence[float], sizes: Sequence[int], slack: float = 0.0) -> Any:
    """The statistic of `sign_flip` from each task's sum and sum of squares; `slack` is taken off the mean."""
    count = len(sizes)
    mean = np.abs(sum(of / n for of, n in zip(sums, sizes, strict=True)) / count) - slack
    if count == 1 or min(sizes) == 1:
        return mean
    spread = sum((q - of**2 / n) / ((n - 1) * n) for of, q, n in zip(sums, squares, sizes, strict=True))
    # Where no task has any spread the mean decides.
    floor = 1e-6 * sum(q / n**2 for q, n in zip(squares, sizes, strict=True))
    return mean / np.sqrt(np.maximum(spread, 0) + floor)


def interval(differences: npt.ArrayLike, tasks: npt.ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Bootstrap-t interval of the mean over tasks of the mean difference over seeds; seeds resampled within tasks.

    differences: (blocks,) in [-1, 1] without NaN; tasks: (blocks,) labels. NaN below 5 seeds of a single task, or 3 of
    each of several.

    Coverage of 95 %, by 1500 simulations each: with 5 seeds of one task 94 % for normal and 93 % for exponential
    differences, with 10 seeds 96 and 94 %, with 3 seeds of three tasks 98 and 95 %. Where Student's t would cover 87 %
    (exponential, 5 seeds). It cannot know what no seed shows: where one in ten runs fails outright, 5 seeds of one task
    cover 42 % and 10 seeds 63 % (Student's t the same). Where two thirds of the differences are exactly 0, 10 seeds
    cover 89 %.

    A resample without variance says nothing of the error's scale, so its t is infinite; where these are too many for
    the quantile to leave out, as with many ties or with 3 seeds of one task, the interval ends at -1 or 1: honest, but
    useless. Differences that are all the same within each task give the mean, and `unseen` probability at -1 for the
    low end, at 1 for the high.

    Source: Davison & Hinkley 1997, Bootstrap Methods and their Application, chapter 5: studentized bootstrap.
    """
    values, sizes = _by_task(differences, tasks)
    if not sizes or min(sizes) < SEEDS_NEEDED[len(sizes) > 1]:
        return math.nan, math.nan
    weights = _weights(sizes)
    mean = float(values @ weights)
    task_means = np.add.reduceat(values, _starts(sizes)) / sizes
    errors = values - np.repeat(task_means, sizes)
    variance = _variance_of_mean(np.ones((1, values.size)), errors, sizes)[0]
    if variance <= 1e-20:  # rounding; a difference of one image in a million is 1e-6
        share = unseen(values.size, confidence)
        return (1 - share) * mean - share, (1 - share) * mean + share
    counts = bootstrap_counts(sizes)
    shifts = counts @ (errors * weights)
    variances = _variance_of_mean(counts, errors, sizes)
    flat = variances <= 1e-9 * variance
    studentized = np.where(flat, np.copysign(math.inf, shifts), shifts / np.sqrt(np.where(flat, 1.0, variances)))
    below, above = quantiles(studentized, (1 - confidence) / 2)
    scale = math.sqrt(variance)
    return max(mean - above * scale, -1.0), min(mean - below * scale, 1.0)


def holm(p_values: npt.ArrayLike) -> Array:
    """Adjusted p values, (comparisons,): rejecting those below alpha keeps the chance of any false one below alpha.

    However the tests depend on each other. A NaN stays NaN and is not counted as a comparison.

    Source: Holm 1979.
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)  # NaN last
    left = np.count_nonzero(~np.isnan(p)) - np.arange(p.size)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * left), 1.0)
    return adjusted


def compare(scores: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Every pair of initializers over the blocks that both have.

    scores: (blocks, initializers), see the module. Returns a row an unordered pair, in the order of the columns:
    a, b (a is the one with the higher mean), pairs (blocks in common), difference (mean of a - b, at least 0) with low
    and high by `interval`, p by `sign_flip`, p_holm over all rows, improvement with improvement_low and
    improvement_high. Pairs without a block in common are NaN.

    improvement is the probability that a run of a beats a run of b on the same task: the share of all pairs of their
    different seeds, ties half, averaged over tasks; NaN if a task has one seed. Runs of one seed are left out, since
    they are alike more than two runs need be. Its interval is the expanded percentile bootstrap of blocks or, where
    that has no width (a beats b always), `unseen` probability at 0 for the low end, at 1 for the high. Coverage of
    95 %, in 1000 simulations each of normal scores correlated 0, 0.4, 0.8 between initializers, improvements 0.5 to
    0.92: 91 to 100 % with 5 seeds of one task, 93 to 100 % with 3 seeds of three, 94 to 98 % with 10 of one.

    Source: Agarwal et al. 2021, section 4.3, whose runs are not paired by seed.
    """
    values = scores.to_numpy(dtype=float)
    tasks = scores.index.get_level_values("task").factorize()[0]
    rows = []
    for first, second in combinations(range(scores.shape[1]), 2):
        common = ~np.isnan(values[:, first] - values[:, second])
        pair = values[common][:, [first, second]]
        (of_a, of_b), sizes = _by_task(pair.T, tasks[common])
        if sizes and (of_a - of_b) @ _weights(sizes) < 0:
            first, second, of_a, of_b = second, first, of_b, of_a
        rows.append((scores.columns[first], scores.columns[second], *_compare(of_a, of_b, sizes, confidence)))
    table = pd.DataFrame(rows, columns=["a", "b", *_COLUMNS])
    table.insert(table.columns.get_loc("p") + 1, "p_holm", holm(table["p"]))
    return table


_COLUMNS = ("pairs", "difference", "low", "high", "p", "improvement", "improvement_low", "improvement_high")


def _compare(of_a: Array, of_b: Array, sizes: tuple[int, ...], confidence: float) -> tuple[float, ...]:
    if not sizes:
        return 0, *[math.nan] * 7
    differences, tasks = of_a - of_b, np.repeat(np.arange(len(sizes)), sizes)
    return (
        differences.size,
        float(differences @ _weights(sizes)),
        *interval(differences, tasks, confidence),
        sign_flip(differences, tasks),
        *_improvement(of_a, of_b, sizes, confidence),
    )


def _improvement(of_a: Array, of_b: Array, sizes: tuple[int, ...], confidence: float) -> tuple[float, float, float]:
    if min(sizes) == 1:
        return math.nan, math.nan, math.nan
    counts = bootstrap_counts(sizes)
    improvement, resampled = 0.0, np.zeros(len(counts))
    for start, size in zip(_starts(sizes), sizes, strict=True):
        block = slice(start, start + size)
        wins = (np.sign(np.subtract.outer(of_a[block], of_b[block])) + 1) / 2  # a tie is half a win
        np.fill_diagonal(wins, 0)
        improvement += wins.sum() / (size * (size - 1) * len(sizes))
        drawn = counts[:, block]
        pairs = size**2 - np.einsum("rs,rs->r", drawn, drawn)
        won = np.einsum("rs,rs->r", drawn @ wins, drawn)
        # A resample of one seed alone has no pair, and says nothing: half.
        resampled += np.where(pairs > 0, won / np.maximum(pairs, 1), 0.5) / len(sizes)
    low, high = percentiles(resampled, sizes, confidence)
    if low == high:
        share = unseen(sum(sizes), confidence)
        low, high = (1 - share) * improvement, (1 - share) * improvement + share
    return improvement, low, high


def blocks_needed(comparisons: int, alpha: float = 0.05) -> int:
    """The fewest blocks with which `sign_flip` can fall below alpha after Holm over so many comparisons.

    With n blocks its smallest p is 2 / 2^n, all differences of one sign; Holm multiplies the smallest by comparisons.
    """
    return math.floor(math.log2(2 * comparisons / alpha)) + 1


@lru_cache(maxsize=8)
def bootstrap_counts(sizes: tuple[int, ...]) -> Array:
    """How often each resample of a stratified bootstrap draws each block, (RESAMPLES, sum of sizes).

    sizes: blocks of each task; blocks are in the order of their tasks. The same every time: a fixed generator.
    """
    rng = np.random.default_rng(0)
    counts = np.hstack([rng.multinomial(size, np.full(size, 1 / size), RESAMPLES) for size in sizes])
    return counts.astype(float)


def percentiles(resampled: Array, sizes: Sequence[int], confidence: float) -> tuple[float, float]:
    """Expanded percentile interval from the bootstrap's values, (RESAMPLES,), of a statistic.

    sizes: the blocks of each task; NaN below 5 of a single task or 3 of each of several: with 3 of one task, all that
    the resamples say lies between the least and the greatest value, which covers 76 % (nominal 95 %).

    The plain percentile interval is too narrow by sqrt((n - 1) / n) and by the normal in place of Student's t; a
    further quantile makes up for both.

    Source: Hesterberg 2015, What Teachers Should Know About the Bootstrap: expanded percentile interval.
    """
    if min(sizes) < SEEDS_NEEDED[len(sizes) > 1]:
        return math.nan, math.nan
    freedom = sum(sizes) - len(sizes)
    widening = math.sqrt(sum(sizes) / freedom)
    return quantiles(resampled, float(ndtr(widening * stdtrit(freedom, (1 - confidence) / 2))))


def quantiles(values: Array, tail: float) -> tuple[float, float]:
    """The order statistics that leave `tail` of the values outside on either side, never fewer than none."""
    outside = max(round(tail * (values.size + 1)), 1) - 1
    parted = np.partition(values, (outside, values.size - 1 - outside))
    return float(parted[outside]), float(parted[-1 - outside])


def _by_task(values: npt.ArrayLike, tasks: npt.ArrayLike) -> tuple[Array, tuple[int, ...]]:
    """Values, along their last axis, in the order of their tasks; and how many each task has."""
    _, code, sizes = np.unique(np.asarray(tasks), return_inverse=True, return_counts=True)
    return np.asarray(values, dtype=float)[..., np.argsort(code, kind="stable")], tuple(sizes.tolist())


def _starts(sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.cumsum((0, *sizes[:-1]))


def _weights(sizes: Sequence[int]) -> Array:
    """Of each block in the mean over tasks of the mean over seeds."""
    return np.repeat(1 / (len(sizes) * np.array(sizes, dtype=float)), sizes)


def _variance_of_mean(counts: Array, errors: Array, sizes: Sequence[int]) -> Array:
    """Squared standard error of the mean over tasks, (resamples,): s^2 / n of each task, over tasks squared."""
    n = np.array(sizes, dtype=float)
    of_task = np.repeat(np.diag(1 / n), sizes, axis=0)  # (blocks, tasks): counts @ of_task averages within tasks
    first, second = counts @ (errors[:, None] * of_task), counts @ (errors[:, None] ** 2 * of_task)
    return ((second - first**2) / (n - 1)).sum(axis=1) / n.size**2


def _random_sums(terms: Array, rng: np.random.Generator) -> Array:
    """The sums of the terms with FLIPS random choices of their signs: looked up, twelve terms at a time."""
    parts = np.array_split(terms, math.ceil(terms.size / 12) or 1)
    return np.sum([_signed_sums(part)[rng.integers(2**part.size, size=FLIPS)] for part in parts], axis=0)


def _signed_sums(terms: Array) -> Array:
    """The 2^n sums of n terms over all of their signs."""
    sums = np.zeros(1)
    for term in terms:
        sums = np.concatenate([sums - term, sums + term])
    return sums
