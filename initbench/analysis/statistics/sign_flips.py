"""Exact tests of paired differences: how often flipped signs would have given a mean difference as large.

`values` are differences of two initializers, one for each seed, as `statistics.blocks.seed_weights` makes them.
If the two are alike, each difference might as well have had the other sign.
"""

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from initbench.analysis.statistics.blocks import Array

Alternative = Literal["two-sided", "greater", "less"]

EXACT_UP_TO = 18  # seeds: 2^17 patterns and their mirror images
FLIPS = 49_999  # random patterns; the smallest p, 1 / 50,000, leaves 1035 comparisons (46 initializers) room under Holm
_PATTERNS_AT_ONCE, _COMPARISONS_AT_ONCE = 8_192, 64  # 4 MB for each array
_HALVINGS = 30  # of the interval in which a bound is searched for


def sign_flip(values: npt.ArrayLike, alternative: Alternative = "two-sided") -> Any:
    """p value that the differences are symmetric about 0, as they are if the two initializers are alike.

    values: (seeds,) or (seeds, comparisons), without NaN. Returns a float, or an array (comparisons,). With
    alternative="greater" the test is one-sided: whether the differences tend to exceed 0. 1.0 if all of them are 0.

    Exact up to 18 seeds. Beyond them, 49,999 random flips from a fixed generator; the observed signs are counted among
    them, so that p is never too small. The statistic is the mean; Student's t would order all flips in the same way.

    Source: Fisher 1935, The Design of Experiments; Phipson & Smyth 2010 for the random flips.
    """
    values = np.asarray(values, dtype=float)
    if not len(values):
        return np.ones(values.shape[1:]) if values.ndim > 1 else 1.0
    flat = values.reshape(len(values), -1)
    chunks = (flat[:, at : at + _COMPARISONS_AT_ONCE] for at in range(0, flat.shape[1], _COMPARISONS_AT_ONCE))
    p = np.concatenate([np.empty(0), *(_p_values(chunk, alternative) for chunk in chunks)])
    return p if values.ndim > 1 else float(p[0])


def _p_values(values: Array, alternative: Alternative) -> Array:
    observed = values.sum(axis=0)
    slack = 1e-9 * np.abs(values).sum(axis=0)  # sums that are equal on paper differ in their last bits
    as_extreme, patterns = np.zeros(values.shape[1]), 0
    for signs in sign_patterns(len(values)):
        patterns += len(signs)
        as_extreme += count_extreme(signs @ values, observed, slack, alternative)
    return as_extreme / (2 * patterns)  # each pattern stands for its mirror image too


def count_extreme(permuted: Array, observed: Array, slack: Array, alternative: Alternative) -> Array:
    """How many of the patterns and of their mirror images are as extreme as what was observed, (comparisons,).

    permuted: the statistic for each pattern, (patterns, comparisons); observed: that of the data; slack: by how much
    two that are equal on paper may differ.
    """
    if alternative == "two-sided":
        return 2 * (np.abs(permuted) >= np.abs(observed) - slack).sum(axis=0)
    least = (observed if alternative == "greater" else -observed) - slack
    return (permuted >= least).sum(axis=0) + (-permuted >= least).sum(axis=0)


def sign_patterns(seeds: int, exact_up_to: int = EXACT_UP_TO, flips: int = FLIPS) -> Iterator[Array]:
    """Signs of the seeds, (patterns, seeds), some thousand patterns at a time; the first one, all 1, is the observed.

    All patterns whose first sign is 1, or `flips` random ones and the observed: the others are their mirror images.
    """
    patterns = _signs(seeds, 0 if seeds <= exact_up_to else flips)
    for at in range(0, len(patterns), _PATTERNS_AT_ONCE):
        yield patterns[at : at + _PATTERNS_AT_ONCE].astype(float)


@lru_cache(maxsize=8)
def _signs(seeds: int, flips: int) -> npt.NDArray[np.int8]:
    if flips == 0:
        minus = (np.arange(2 ** (seeds - 1))[:, None] >> np.arange(seeds)) & 1
    else:
        minus = np.random.default_rng(0).integers(2, size=(flips + 1, seeds), dtype=np.int8)
        minus[0] = 0
    return (1 - 2 * minus).astype(np.int8)


def lower_bound(values: Array, share: Array, alpha: float = 0.025) -> Array:
    """Lower confidence bounds (1 - alpha) of the mean differences, (comparisons,): the one-sided test inverted.

    values: (seeds, comparisons); share: (seeds,), the weight of each value in the mean, 1 on average: the row sums of
    the matrix that made them. Above 0 where `sign_flip` with alternative="greater" is below alpha; -inf with too few
    seeds for any p below alpha.

    Source: Pitman 1937; Ernst 2004, Permutation Methods: A Basis for Exact Inference, section 3.4.
    """
    if 2.0 ** -len(values) >= alpha:
        return np.full(values.shape[1], -math.inf)
    each, mean = values / share[:, None], values.mean(axis=0)
    inside, outside = mean, each.min(axis=0) - 1e-9 * np.abs(each).max(axis=0)
    # The sums of a bound's differences follow from those of the mean's, so the patterns are gone through once.
    centred = values - share[:, None] * mean
    both = np.column_stack([centred, share])
    sums = np.concatenate([signs @ both for signs in sign_patterns(len(values))])
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        moved, observed = sums[:, :-1] - sums[:, -1:] * (middle - mean), centred - share[:, None] * (middle - mean)
        slack = 1e-9 * np.abs(observed).sum(axis=0)
        as_extreme = count_extreme(moved, observed.sum(axis=0), slack, "greater")
        is_refuted = as_extreme / (2 * len(sums)) < alpha
        outside, inside = np.where(is_refuted, middle, outside), np.where(is_refuted, inside, middle)
    return outside


def seeds_for_flips(comparisons: int = 1, alpha: float = 0.05) -> int:
    """The fewest seeds with which the two-sided p can fall below alpha after Holm over so many comparisons.

    With n seeds the smallest p is 2 / 2^n, all differences of one sign; Holm multiplies the smallest by comparisons.
    """
    return math.floor(math.log2(2 * comparisons / alpha)) + 1
