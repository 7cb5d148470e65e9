"""How the best learning rate changes along an axis, in octaves per doubling, and what may be said about it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from initbench.analysis.statistics.blocks import Array
from initbench.analysis.statistics.bootstrap import SEEDS_NEEDED, percentiles
from initbench.transfer.best_rate import Scores

TOLERANCE = 0.2  # octaves per doubling: over a factor of eight, the rate changes by less than half its value
LEVEL = 0.05


@dataclass(frozen=True)
class Drift:
    """The slope of log2(best rate) over log2(value), with an interval.

    best: (values,), log2 of the best rates; low, high: of each of them, and of the slope. NaN with fewer than five
    seeds.
    """

    scores: Scores
    best: Array
    best_low: Array
    best_high: Array
    slope: float
    low: float
    high: float

    @property
    def init(self) -> str:
        """The initializer."""
        return self.scores.init

    @property
    def edges(self) -> list[float]:
        """The values at which the best rate is at the edge of the grid."""
        return self.scores.edges()

    @property
    def cliffs(self) -> list[float]:
        """The values with runs that diverged beside the best rate."""
        return self.scores.cliffs()

    @property
    def finding(self) -> Literal["transfers", "drifts", "open"]:
        """transfers: the whole interval is within the tolerance. drifts: 0 is outside of it. open: neither is shown."""
        if self.edges or self.cliffs or math.isnan(self.low):
            return "open"
        if self.low >= -TOLERANCE and self.high <= TOLERANCE:
            return "transfers"
        return "drifts" if self.low > 0 or self.high < 0 else "open"


def drifts(of_inits: Sequence[Scores], level: float = LEVEL) -> list[Drift]:
    """The drift of each initializer. All intervals of slopes hold at once with confidence 1 - level (Bonferroni).

    The seeds are resampled as a whole, with their runs at all values and rates, since runs of a seed share the order of
    the data (Hesterberg 2015: expanded percentile intervals).
    """
    return [_drift(scores, 1 - level / len(of_inits)) for scores in of_inits]


def _drift(scores: Scores, confidence: float) -> Drift:
    best = scores.best() if scores.seeds else np.full(len(scores.values), math.nan)
    unknown = np.full_like(best, math.nan)
    weights = _weights(scores.values)
    if scores.seeds < SEEDS_NEEDED[0]:
        return Drift(scores, best, unknown, unknown, float(best @ weights), math.nan, math.nan)
    resampled = scores.resampled()
    each = [percentiles(column, [scores.seeds], 1 - LEVEL) for column in resampled.T]
    low, high = percentiles(resampled @ weights, [scores.seeds], confidence)
    lows, highs = (np.array(ends) for ends in zip(*each, strict=True))
    return Drift(scores, best, lows, highs, float(best @ weights), low, high)


def _weights(values: Sequence[float]) -> Array:
    """The weights by which least squares makes a slope over log2(values) of what is at each of them."""
    z = np.log2(values) - np.log2(values).mean()
    weights: Array = z / (z @ z)
    return weights
