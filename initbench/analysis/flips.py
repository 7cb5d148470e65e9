"""Exact tests of paired differences: how often flipped signs would have given a difference as large.

A block is a seed of a workload. `differences` are those of two initializers in each block; where the two are alike,
each difference might as well have had the other sign.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from initbench.analysis.blocks import Array, by_workload, starts, weights

Alternative = Literal["two-sided", "greater", "less"]

EXACT_UP_TO = 18  # blocks: 2^17 patterns and their mirror images
FLIPS = 49_999  # random patterns; the smallest p, 1 / 50,000, leaves 1035 comparisons (46 initializers) room under Holm
_PATTERNS_AT_ONCE, _COMPARISONS_AT_ONCE = 8_192, 64  # 4 MB for each array
_HALVINGS = 20  # of the interval in which a bound is sought: to a millionth


def sign_flip(differences: npt.ArrayLike, workloads: npt.ArrayLike, alternative: Alternative = "two-sided") -> Any:
    """p value that the differences are symmetric about 0, as they are if the two initializers are alike.

    differences: (blocks,) or (blocks, comparisons), without NaN; workloads: (blocks,) labels. Returns a float, or an
    array (comparisons,). With alternative="greater" the test is one-sided: whether the differences tend to exceed 0.

    The statistic is the mean over workloads of the mean over seeds. With several workloads of two seeds or more each it
    is divided by its standard error within workloads. Without the division, an initializer that loses every seed of one
    workload by 10 points and wins every seed of another by 30 would seem to have won by luck: flips that mix wins and
    losses within a workload reach its mean now and then, but never as steadily. With one workload the division changes
    no order of flips.

    Exact up to 18 blocks. Beyond them, 49,999 random flips from a fixed generator; the observed signs are counted among
    them, so that p is never too small. 1.0 where all differences are 0.

    Source: Fisher 1935, The Design of Experiments; Janssen 1997 and Chung & Romano 2013 for studentizing; Phipson &
    Smyth 2010 for the random flips.
    """
    values, sizes = by_workload(differences, workloads)
    if not sizes:
        return np.ones(values.shape[1:]) if values.ndim > 1 else 1.0
    flat = values.reshape(len(values), -1)
    chunks = (flat[:, at : at + _COMPARISONS_AT_ONCE] for at in range(0, flat.shape[1], _COMPARISONS_AT_ONCE))
    p = np.concatenate([np.empty(0), *(_p_values(chunk, sizes, alternative) for chunk in chunks)])
    return p if values.ndim > 1 else float(p[0])


def _p_values(values: Array, sizes: tuple[int, ...], alternative: Alternative) -> Array:
    sums = np.add.reduceat(values, starts(sizes))
    squares = list(np.add.reduceat(values**2, starts(sizes)))
    mean, error = mean_and_error(list(sums), squares, sizes)
    # Sums that are equal on paper differ in their last bits, and each must count as equal.
    slack = 1e-9 * (weights(sizes) @ np.abs(values)) / error
    observed = mean / error
    as_extreme, patterns = np.zeros(values.shape[1]), 0
    for signs in sign_patterns(len(values)):
        parts = zip(np.split(signs, starts(sizes)[1:], axis=1), np.split(values, starts(sizes)[1:]), strict=True)
        mean, error = mean_and_error([of @ workload for of, workload in parts], squares, sizes)
        flipped = mean / error
        patterns += len(signs)
        if alternative == "two-sided":
            as_extreme += 2 * (np.abs(flipped) >= np.abs(observed) - slack).sum(axis=0)
        else:
            least = (observed if alternative == "greater" else -observed) - slack
            as_extreme += (flipped >= least).sum(axis=0) + (-flipped >= least).sum(axis=0)
    return as_extreme / (2 * patterns)  # each pattern stands for its mirror image too


def mean_and_error(sums: Sequence[Array], squares: Sequence[Array], sizes: Sequence[int]) -> tuple[Array, Any]:
    """The mean over workloads of the means over seeds, and what the test divides it by.

    sums, squares: of each workload, of the differences and of their squares.
    """
    count = len(sizes)
    mean: Any = sum(of / n for of, n in zip(sums, sizes, strict=True)) / count
    if count == 1 or min(sizes) == 1:
        return mean, 1.0
    spread: Any = sum((q - of**2 / n) / ((n - 1) * n) for of, q, n in zip(sums, squares, sizes, strict=True))
    # Where no workload has any spread the mean decides; where all differences are 0 there is nothing to divide.
    floor = sum(1e-6 * q / n**2 for q, n in zip(squares, sizes, strict=True))
    return mean, np.sqrt(np.maximum(spread, 0) + np.where(floor > 0, floor, 1.0))


def sign_patterns(blocks: int, exact_up_to: int = EXACT_UP_TO, flips: int = FLIPS) -> Iterator[Array]:
    """Signs of the blocks, (patterns, blocks), some thousand patterns at a time; the first is the observed, all 1.

    All patterns whose first sign is 1, or so many random ones and the observed: the others are their mirror images.
    """
    patterns = _signs(blocks, 0 if blocks <= exact_up_to else flips)
    for at in range(0, len(patterns), _PATTERNS_AT_ONCE):
        yield patterns[at : at + _PATTERNS_AT_ONCE].astype(float)


@lru_cache(maxsize=8)
def _signs(blocks: int, flips: int) -> npt.NDArray[np.int8]:
    if flips == 0:
        minus = (np.arange(2 ** (blocks - 1))[:, None] >> np.arange(blocks)) & 1
    else:
        minus = np.random.default_rng(0).integers(2, size=(flips + 1, blocks), dtype=np.int8)
        minus[0] = 0
    return (1 - 2 * minus).astype(np.int8)


def lower_bound(differences: Array, workloads: npt.ArrayLike, alpha: float = 0.025) -> Array:
    """Lower confidence bounds (1 - alpha) of the mean differences, (comparisons,): the one-sided test inverted.

    differences: (blocks, comparisons). Above 0 where `sign_flip` with alternative="greater" is below alpha; -inf with
    too few blocks for any p below alpha.

    Source: Pitman 1937; Ernst 2004, Permutation Methods: A Basis for Exact Inference, section 3.4.
    """
    values, sizes = by_workload(differences, workloads)
    if 2.0 ** -len(values) >= alpha:
        return np.full(values.shape[1], -math.inf)
    inside = weights(sizes) @ values
    outside = inside - 2 * np.abs(values - inside).max(axis=0) * len(sizes) - 1e-12
    labels = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        is_refuted = sign_flip(values - middle, labels, "greater") < alpha
        outside, inside = np.where(is_refuted, middle, outside), np.where(is_refuted, inside, middle)
    return outside


def blocks_needed(comparisons: int = 1, alpha: float = 0.05) -> int:
    """The fewest blocks with which the two-sided p can fall below alpha after Holm over so many comparisons.

    With n blocks the smallest p is 2 / 2^n, all differences of one sign; Holm multiplies the smallest by comparisons.
    """
    return math.floor(math.log2(2 * comparisons / alpha)) + 1
