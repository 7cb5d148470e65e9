"""The rules of a race, which are fixed before its first run."""

import math
from dataclasses import dataclass
from itertools import count

import numpy as np

from initbench.analysis.statistics.blocks import Array

APART_SHARE = 1 / 3  # of an error rate, at most, for "every run of the one is better than every run of the other"
APART_BY = 1 / 4  # of the range of their runs, by which they have to be apart


@dataclass(frozen=True)
class Rules:
    """How a race among so many initializers is decided.

    level: the error rate of the whole race; most_seeds: its longest; margin: the difference within which initializers
    are equal, in the unit of the scores, None if equality is not asked for; strict: no initializer may be out of the
    race wrongly, whereas otherwise only the best may not.
    """

    inits: int
    level: float = 0.05
    most_seeds: int = 30
    margin: float | None = None
    strict: bool = False

    @property
    def level_of_each(self) -> float:
        """The level of each one-sided comparison.

        The best has `inits - 1` rivals, each of which may beat it by chance, so that it stays with probability
        1 - level (Bonferroni). Of two that are equal, either may beat the other, so that two sides count. With `strict`
        all ordered pairs count.
        """
        return self.level / (self.inits * (self.inits - 1) if self.strict else max(2, self.inits - 1))

    @property
    def level_of_equality(self) -> float:
        """The level of each of the two one-sided tests of a pair.

        All pairs that are left have to be shown to be equal; but which ones are left depends on the scores, so that a
        best one that leads by just the margin may be called equal to any of its rivals.
        """
        return self.level / max(1, self.inits - 1)

    @property
    def apart_after(self) -> int:
        """The seeds after which one that is far worse in every run is out.

        If two initializers with n runs each are alike, all runs of the one are above all of the other with probability
        1 / C(2n, n) if all runs are independent, and more rarely if runs of one seed are positively correlated.
        """
        return next(n for n in count(2) if self._chance(n) <= APART_SHARE * self.level_of_each)

    @property
    def level_of_flips(self) -> float:
        """What `apart_after` leaves to the sign flips of each comparison."""
        is_used = self.apart_after <= self.most_seeds
        return self.level_of_each - (self._chance(self.apart_after) if is_used else 0.0)

    @property
    def spending(self) -> Array:
        """By number of seeds, from 1 on: the share of a level that sign flips may have spent by then.

        It grows in proportion. Spending more of it early saves a few runs where one leads by far, and names the best
        less often where it leads by little (Kim & DeMets 1987, Design and analysis of group sequential tests).
        """
        return np.arange(1, self.most_seeds + 1) / self.most_seeds

    @staticmethod
    def _chance(seeds: int) -> float:
        return 1 / math.comb(2 * seeds, seeds)

    @property
    def first_look(self) -> int:
        """The seeds that it takes before an initializer can be out; the race may be too short for it."""
        flips = (n for n, share in enumerate(self.spending, 1) if 2.0**-n <= self.level_of_flips * share)
        return min(self.apart_after, next(flips, self.apart_after))
