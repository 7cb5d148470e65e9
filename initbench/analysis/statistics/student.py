"""Student's t intervals: of a mean, and of several paired differences at once.

Source: Student 1908, The Probable Error of a Mean.
"""

import math

import numpy as np
from scipy.special import stdtrit

from initbench.analysis.statistics.blocks import Array


def mean_interval(values: list[float], confidence: float = 0.95) -> tuple[float, float]:
    """Mean and half width of its interval by Student's t; NaN with too few values."""
    n = len(values)
    if n == 0:
        return math.nan, math.nan
    mean = math.fsum(values) / n
    if n == 1:
        return mean, math.nan
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    return mean, float(stdtrit(n - 1, 0.5 + confidence / 2)) * deviation / math.sqrt(n)


def simultaneous(values: Array, comparisons: int, confidence: float = 0.95) -> tuple[Array, Array]:
    """Ends, (comparisons,) each, of intervals of the mean differences that all hold at once with this confidence.

    values: (seeds, comparisons), differences of one seed. Student's t of paired differences at a level divided by the
    number of comparisons (Bonferroni). NaN with one seed, or without any spread.

    For what they cover of the leads of the best of eight see docs/explanation/comparison.md.

    Source: Student 1908.
    """
    n = len(values)
    mean = values.mean(axis=0)
    if n < 2:
        return np.full_like(mean, math.nan), np.full_like(mean, math.nan)
    variance = ((values - mean) ** 2).sum(axis=0) / ((n - 1) * n)
    reach = stdtrit(n - 1, 1 - (1 - confidence) / (2 * comparisons)) * np.sqrt(variance)
    reach[variance <= 1e-24 * np.abs(values).max(axis=0) ** 2] = math.nan
    return mean - reach, mean + reach
