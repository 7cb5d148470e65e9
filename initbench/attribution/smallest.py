"""The smallest set of parts that keeps most of the difference, if b draws these parts and a everything else.

What a set keeps follows from the effects of parts and pairs of parts, so sets that are no arm are known too. A set that
is chosen for what it keeps would keep less on new seeds, so this is estimated on seeds that took no part in the choice:
each seed measures the set that all others choose. It is an estimate, and no claim.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import stdtrit

from initbench.analysis.statistics.blocks import Array
from initbench.attribution.design import Design
from initbench.attribution.effects import Effects

KEPT = 0.95  # of the difference


@dataclass(frozen=True)
class Smallest:
    """The set that is chosen by all seeds, and what it keeps.

    share: of the difference, estimated on seeds that took no part in the choice. low, high: 95% interval of the share
    that the set keeps, wide enough to hold the estimate; for what it covers see docs/how_to/attribution.md. agreement:
    the share of the seeds without which the same set is chosen.
    """

    parts: tuple[str, ...]
    share: float
    low: float
    high: float
    agreement: float


def smallest(effects: Effects, kept: float = KEPT) -> Smallest | None:
    """The smallest set that keeps this share of the difference; None with fewer than three seeds."""
    if effects.seeds < 3:
        return None
    levels, weights = _sets(effects.design)
    gains = effects.gains @ weights.T  # (seeds, sets): of each set over a alone
    sizes = (levels > 0).sum(axis=1)
    chosen = _choice(gains.mean(axis=0), sizes, kept)
    others = (gains.sum(axis=0) - gains) / (len(gains) - 1)
    without = np.array([_choice(means, sizes, kept) for means in others])
    held, whole = gains[np.arange(len(gains)), without], gains[:, -1]
    share = ratio_interval(held, whole)[0]
    _, low, high = ratio_interval(gains[:, chosen], whole)
    parts = effects.design.drawn_by_b(levels[chosen])
    return Smallest(parts, share, min(low, share), max(high, share), float((without == chosen).mean()))


def _sets(design: Design) -> tuple[Array, Array]:
    """The sets of parts as levels, (sets, parts), all parts last; the weight of each effect in what a set gains.

    Sets whose gain depends on effects that the design cannot tell apart are left out.
    """
    levels = np.array([*product((-1.0, 1.0), repeat=len(design.parts))])[1:]
    columns, known = [], np.ones(len(levels), dtype=bool)
    for group in design.groups:
        values = np.column_stack([levels[:, list(effect)].prod(axis=1) for effect in group])
        known &= (values == values[:, :1]).all(axis=1)
        size = len(group[0])
        # The score is a constant plus half the gain of each part, or a quarter of that of two, times its column.
        columns.append((values[:, 0] - (-1) ** size) / (2 * size))
    return levels[known], np.column_stack(columns)[known]


def _choice(gains: Array, sizes: Array, kept: float) -> int:
    """The place of the smallest set that keeps this share of what all parts gain; of several, that which gains most."""
    shares = gains / gains[-1] if gains[-1] else np.where(sizes == sizes[-1], 1.0, 0.0)
    enough = np.flatnonzero(shares >= kept)
    return int(min(enough, key=lambda place: (sizes[place], -shares[place])))


def ratio_interval(values: Array, of: Array, confidence: float = 0.95) -> tuple[float, float, float]:
    """The ratio of two means over seeds, with its interval; the ends are NaN where it has none, or is unbounded.

    values, of: (seeds,). A ratio is in the interval unless Student's t of values - ratio * of refutes it.

    Source: Fieller 1954, Some Problems in Interval Estimation.
    """
    n, mean, total = len(values), float(values.mean()), float(of.mean())
    if not total:
        return math.nan, math.nan, math.nan
    t = float(stdtrit(n - 1, 0.5 + confidence / 2))
    (of_values, both), (_, of_total) = (t**2 / n * np.cov(values, of)).tolist()
    # (mean - r total)^2 <= of_values - 2 r both + r^2 of_total
    a, b, c = total**2 - of_total, mean * total - both, mean**2 - of_values
    if a <= 0:
        return mean / total, math.nan, math.nan
    reach = math.sqrt(max(b * b - a * c, 0.0))
    return mean / total, (b - reach) / a, (b + reach) / a
