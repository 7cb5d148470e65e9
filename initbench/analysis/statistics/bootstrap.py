"""Resampling seeds: the studentized bootstrap of differences, and intervals of other statistics."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, stdtrit

from initbench.analysis.statistics.blocks import Array

RESAMPLES = 9_999  # makes 2.5 % and 97.5 % whole order statistics: Davison & Hinkley 1997, chapter 5
SEEDS_NEEDED = (5, 3)  # for an interval: seeds of a single workload, of each of several
# A resample that happens to miss the only unusual seed has hardly any variance, and its t would be infinite. Each
# variance is at least this share of the observed one, which changes no error rate by more than 0.01.
_LEAST_VARIANCE = 0.1


@dataclass(frozen=True)
class Studentized:
    """The bootstrap-t of mean differences.

    It allows for skewness, which the sign flips of `statistics.sign_flips` do not. It cannot know what no seed
    shows: where one run in ten fails outright, ten seeds mislead it as often as any other test.

    Source: Davison & Hinkley 1997, Bootstrap Methods and their Application, chapter 5.
    """

    mean: Array  # (comparisons,)
    error: Array  # (comparisons,), the standard error; 0 if all differences are the same
    resampled: Array  # (RESAMPLES, comparisons), of t; NaN with too few seeds

    def p(self) -> Array:
        """Two-sided p values, (comparisons,), that the mean differences are 0; NaN with too few seeds.

        Without any spread it is 0, or 1 if all differences are 0.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            t = self.mean / self.error
        above = ((self.resampled >= t).sum(axis=0) + 1) / (RESAMPLES + 1)
        below = ((self.resampled <= t).sum(axis=0) + 1) / (RESAMPLES + 1)
        p = np.minimum(2 * np.minimum(above, below), 1.0)
        p = np.where(self.error > 0, p, np.where(self.mean != 0, 0.0, 1.0))
        return np.where(np.isnan(self.resampled[0]), math.nan, p)


def studentized(values: Array) -> Studentized:
    """The bootstrap-t of differences, (seeds, comparisons) without NaN."""
    seeds, comparisons = values.shape
    if seeds < SEEDS_NEEDED[0]:
        mean = values.mean(axis=0) if seeds else np.full(comparisons, math.nan)
        return Studentized(mean, np.full(comparisons, math.nan), np.full((1, comparisons), math.nan))
    mean = values.mean(axis=0)
    errors = values - mean
    variance = (errors**2).mean(axis=0) / (seeds - 1)
    variance[variance <= 1e-24 * np.abs(values).max(axis=0) ** 2] = 0.0  # rounding
    counts = bootstrap_counts((seeds,))
    shifts = counts @ errors / seeds
    variances = (counts @ errors**2 / seeds - shifts**2) / (seeds - 1)
    least = np.where(variance > 0, _LEAST_VARIANCE * variance, 1.0)
    return Studentized(mean, np.sqrt(variance), shifts / np.sqrt(np.maximum(variances, least)))


@lru_cache(maxsize=8)
def bootstrap_counts(sizes: tuple[int, ...]) -> Array:
    """How often each resample of a stratified bootstrap draws each block, (RESAMPLES, sum of sizes).

    sizes: blocks of each workload; blocks are sorted by workload. A fixed generator makes it the same every time.
    """
    rng = np.random.default_rng(0)
    counts = np.hstack([rng.multinomial(size, np.full(size, 1 / size), RESAMPLES) for size in sizes])
    return counts.astype(float)


def slices(resamples: int, blocks: int) -> Iterator[slice]:
    """Slices of the rows of `bootstrap_counts`, of about a megabyte each: of a thousand seeds, all rows take 80."""
    step = max(2**17 // blocks, 1)
    return (slice(at, at + step) for at in range(0, resamples, step))


def percentiles(resampled: Array, sizes: Sequence[int], confidence: float) -> tuple[float, float]:
    """Expanded percentile interval from the bootstrap's values, (RESAMPLES,), of a statistic.

    sizes: the blocks of each workload; NaN with fewer than 5 of a single workload or 3 of each of several: with 3 of
    one, no resample leaves the range of the values, which covers 76 % (nominal 95 %).

    The plain percentile interval is too narrow by sqrt((n - 1) / n) and by the normal in place of Student's t; a
    more extreme quantile makes up for both.

    Source: Hesterberg 2015, What Teachers Should Know About the Bootstrap: expanded percentile interval.
    """
    if min(sizes) < SEEDS_NEEDED[len(sizes) > 1]:
        return math.nan, math.nan
    freedom = sum(sizes) - len(sizes)
    widening = math.sqrt(sum(sizes) / freedom)
    return quantiles(resampled, float(ndtr(widening * stdtrit(freedom, (1 - confidence) / 2))))


def quantiles(values: Array, tail: float) -> tuple[float, float]:
    """The order statistics that leave a share `tail` of the values, (n,), outside on either side."""
    outside = max(round(tail * (values.size + 1)), 1) - 1
    parted = np.partition(values, (outside, values.size - 1 - outside))
    return float(parted[outside]), float(parted[-1 - outside])
