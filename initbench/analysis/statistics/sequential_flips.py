"""Sign flips that are looked at after every seed: the test may stop at any look, and still errs as rarely as it says.

If two initializers are alike, every choice of signs for their differences is equally likely, and so is every path of
the running sum that such a choice makes. At each look a bound is set so high that no larger share of all paths has
crossed a bound so far than may be spent by then; what was observed is one of these paths. All that is assumed is that
seeds are independent and differences symmetric about 0, as in `statistics.sign_flips`.

Source: Lan & DeMets 1983, Discrete sequential boundaries for clinical trials, for the spending of an error rate;
Phipson & Smyth 2010 for random flips of which the observed signs are one.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from initbench.analysis.statistics.blocks import Array

PATTERNS = 2**13  # of signs, without their mirror images
_ROUNDING = 1e-9  # of the sum of absolute values, by which sums that are equal on paper may differ

Flags = npt.NDArray[np.bool_]


class SequentialFlips:
    """One-sided tests of several comparisons, each of which errs with at most this level over all of its looks.

    spending: for each look the share of the level that may have been spent by then; it does not decrease.
    """

    def __init__(self, level: float, spending: npt.ArrayLike, comparisons: int, patterns: int = PATTERNS) -> None:
        spending = np.asarray(spending, dtype=float)
        self._signs = sign_paths(len(spending), patterns)
        paths = self._signs.shape[1]
        self._budget = np.floor(paths * level * spending + _ROUNDING).astype(int)  # paths that may have crossed
        self._sums = np.zeros((comparisons, paths))
        self._size = np.zeros(comparisons)
        self._crossed = np.zeros((comparisons, paths), dtype=bool)
        self._looks = 0
        self.bounds = np.full(comparisons, math.inf)  # of the running sum, at the latest look

    def look(self, values: Array) -> tuple[Flags, Flags]:
        """Add the differences of one more seed, (comparisons,).

        Returns which sums are shown to be above 0, and which below: each is a test of its own, at the level.
        """
        self._sums += self._signs[self._looks] * values[:, None]
        self._size += np.abs(values)
        slack = _ROUNDING * self._size
        left = self._budget[self._looks] - self._crossed.sum(axis=1)
        self.bounds = _bounds(np.where(self._crossed, -math.inf, self._sums), left, slack)
        self.bounds[self._size == 0] = math.inf
        self._crossed |= self._sums >= (self.bounds - slack)[:, None]
        self._looks += 1
        return self._crossed[:, 0].copy(), self._crossed[:, self._crossed.shape[1] // 2].copy()

    def keep(self, which: Flags) -> None:
        """Go on with these comparisons alone."""
        self._sums, self._crossed, self._size = self._sums[which], self._crossed[which], self._size[which]


def _bounds(sums: Array, most: npt.NDArray[np.int64], slack: Array) -> Array:
    """For each row of sums the lowest bound that at most so many of them reach; inf if there is none."""
    if not len(most) or most.max() <= 0:
        return np.full(len(most), math.inf)
    number = int(most.max()) + 1
    highest = np.sort(np.partition(sums, sums.shape[1] - number, axis=1)[:, -number:], axis=1)[:, ::-1]
    first_out = np.take_along_axis(highest, np.maximum(most, 0)[:, None], axis=1)
    is_inside = (highest > first_out + slack[:, None]) & (most > 0)[:, None]
    bounds: Array = np.where(is_inside, highest, math.inf).min(axis=1)
    return bounds


@lru_cache(maxsize=4)
def sign_paths(seeds: int, patterns: int = PATTERNS) -> Array:
    """Signs (seeds, 2 patterns): the observed, all 1, comes first; the second half are mirror images of the first.

    The first log2(patterns) + 1 seeds have all of their patterns, equally often, so that p values are exact there; the
    signs of later seeds are random, from a fixed generator. Whichever pattern was the observed one, the others would be
    the same at first, and random later: that makes the test valid with any number of patterns.
    """
    exact = round(math.log2(patterns)) + 1
    minus = np.random.default_rng(0).integers(2, size=(patterns, max(seeds, exact)))
    minus[:, 0] = 0
    minus[:, 1:exact] = (np.arange(patterns)[:, None] >> np.arange(exact - 1)) & 1
    minus[0] = 0
    signs = (1.0 - 2.0 * minus)[:, :seeds].T
    return np.concatenate([signs, -signs], axis=1)
