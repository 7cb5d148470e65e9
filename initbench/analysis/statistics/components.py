"""Variance components of runs whose sources of randomness were crossed: each seed of one with each seed of the others.

values: (levels of the first source, levels of the second, ..., samples), one run in each cell. The score of a run is
the mean over its test samples. In the model of crossed random effects its variance is the sum of the components
sigma^2_S, one for each set S of sources: {weights}, {order}, {weights, order}, ... With one run per cell, the last one
has whatever else makes runs differ. The expected mean squares of a complete layout,

    E MS_S = sum over T that contain S of (N / levels of T) sigma^2_T,       N = all cells,

are solved for the components by Moebius inversion. Like the variance between runs in `new_data`, each mean square of
the scores has a part that is due to the finite test set: it is a quadratic form Q, and
[n^2 Q(mean_j y_j) - sum_j Q(y_j)] / (n (n - 1)) is without bias what it would be on infinitely many samples.

Sources: Searle, Casella & McCulloch 1992, Variance Components, section 4.7; Jordan 2023 (2304.01910), section 3.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from initbench.analysis.statistics.blocks import Array, rounding

_DRAWS = 20_000
Sources = frozenset[str]


class Part(NamedTuple):
    """A part of the variance between runs, its estimate without bias; its share of the whole, with an interval."""

    variance: float
    share: float
    low: float
    high: float


def components(values: Array, sources: Sequence[str], confidence: float = 0.95) -> dict[str, Part]:
    """The parts of the variance between the scores of runs.

    values: see the module; a single "sample" per run, which is its score, has no part that is due to the test set.
    sources: their names, one for each axis. The parts have the names of the sources, "interaction" (of all kinds, with
    whatever else differs between runs) if there are several, and "test set" if there are samples.

    In shares, an estimate that is negative counts as 0, so that they add up to 1. The intervals are generalized
    confidence intervals (Weerahandi 1993, Generalized Confidence Intervals): quantiles of the shares when each expected
    mean square is drawn from df MS / chi^2(df), with the part that is due to the test set held fixed. For what they
    cover, see docs/explanation/comparison.md. NaN if all scores are equal.
    """
    scores = values.mean(axis=-1)
    sets = [frozenset(of) for size in range(1, len(sources) + 1) for of in combinations(sources, size)]
    squares = {of: float(_mean_square(scores[..., None], sources, of)[0]) for of in sets}
    of_samples = {of: _of_test_set(values, sources, of, squares[of]) for of in sets}
    size = dict(zip(sources, scores.shape, strict=True))
    degrees = {of: math.prod(size[source] - 1 for source in of) for of in sets}
    rng = np.random.default_rng(0)
    # The first of each has the estimate itself.
    drawn = {of: squares[of] * np.append(1.0, degrees[of] / rng.chisquare(degrees[of], _DRAWS)) for of in sets}
    on_new = _solved({of: drawn[of] - of_samples[of] for of in sets}, size)
    parts = {source: on_new[frozenset([source])] for source in sources}
    if len(sources) > 1:
        parts["interaction"] = np.sum([of for key, of in on_new.items() if len(key) > 1], axis=0)
    if values.shape[-1] > 1:
        test_set = np.sum([*_solved({of: np.full(1, of_samples[of]) for of in sets}, size).values()])
        parts["test set"] = np.full(_DRAWS + 1, test_set)
    if np.ptp(scores) <= rounding(np.abs(scores).max()):
        return dict.fromkeys(parts, Part(0.0, math.nan, math.nan, math.nan))
    total = np.sum([*parts.values()], axis=0)  # with two seeds each, it may be 0 though the interaction is not
    total = np.maximum(total, rounding(np.square(scores).max()))
    not_negative = sum(max(float(of[0]), 0.0) for of in parts.values())
    found = {}
    for name, of in parts.items():
        share = max(float(of[0]), 0.0) / not_negative
        low, high = np.quantile(np.clip(of[1:] / total[1:], 0.0, 1.0), (0.5 - confidence / 2, 0.5 + confidence / 2))
        found[name] = Part(float(of[0]), share, min(float(low), share), max(float(high), share))
    return found


def deviation(parts: Mapping[str, Part]) -> float:
    """The standard deviation between the scores of runs."""
    return math.sqrt(max(sum(part.variance for part in parts.values()), 0.0))


def _mean_square(values: Array, sources: Sequence[str], of: Sources) -> Array:
    """(samples,), the mean square of the effect of a set of sources, for each sample."""
    effect, repeats, degrees = values, 1, 1
    for axis, source in enumerate(sources):
        mean = effect.mean(axis=axis, keepdims=True)
        effect = effect - mean if source in of else mean
        repeats *= 1 if source in of else values.shape[axis]
        degrees *= values.shape[axis] - 1 if source in of else 1
    return repeats * np.square(effect).reshape(-1, values.shape[-1]).sum(axis=0) / degrees


def _of_test_set(values: Array, sources: Sequence[str], of: Sources, square: float) -> float:
    """The part of a mean square of the scores that is due to the finite test set."""
    n = values.shape[-1]
    if n == 1:
        return 0.0
    return square - (n * n * square - float(_mean_square(values, sources, of).sum())) / (n * (n - 1))


def _solved(squares: dict[Sources, Array], size: dict[str, int]) -> dict[Sources, Array]:
    """The components of which these mean squares are expected."""
    cells = math.prod(size.values())
    return {
        of: np.sum([(-1) ** (len(more) - len(of)) * square for more, square in squares.items() if more >= of], axis=0)
        * math.prod(size[source] for source in of)
        / cells
        for of in squares
    }
