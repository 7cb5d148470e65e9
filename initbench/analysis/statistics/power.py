"""How many seeds it takes to show a difference, and which difference a number of seeds can show."""

import math

import pandas as pd
from scipy.special import ndtr, ndtri

from initbench.analysis.statistics.blocks import seed_weights
from initbench.analysis.statistics.sign_flips import seeds_for_flips

POWER = 0.8  # share of studies in which a true difference is shown
_MOST = 10_000  # more than anybody runs


def spread(differences: pd.Series) -> float:
    """Standard deviation between seeds of the mean difference over workloads; NaN with fewer than two seeds.

    differences: between two initializers, index (workload, seed).
    """
    known = differences.dropna()
    workloads, seeds = (known.index.get_level_values(level) for level in ("workload", "seed"))
    return float(pd.Series(seed_weights(workloads, seeds) @ known.to_numpy()).std())


def seeds_needed(difference: float, spread: float, level: float = 0.05, power: float = POWER) -> int | None:
    """Seeds with which a true difference is shown with this power by a two-sided test; None beyond 10,000.

    difference: the true one; spread: the standard deviation of one seed's difference, in the same unit. For normal
    differences ((z + z') spread / difference)^2
    + z^2 / 2 with the quantiles z of the level and z' of the power: (2.8 spread / difference)^2 + 2 unless given.

    Source: Guenther 1981, Sample size formulas for normal theory t tests, for the last term.
    """
    if not difference > 0 or math.isnan(spread):
        return None
    if spread > _MOST * difference:
        return None
    z, z_power = _quantiles(level, power)
    needed = ((z + z_power) * spread / difference) ** 2 + z**2 / 2
    if needed > _MOST:
        return None
    least = seeds_for_flips(alpha=level)
    # With the fewest seeds that can show anything, all of them have to point the same way.
    is_enough = spread == 0 or ndtr(difference / spread) ** least >= power
    return max(math.ceil(needed - 1e-9), least if is_enough else least + 1)


def detectable(seeds: int, spread: float, level: float = 0.05, power: float = POWER) -> float:
    """The smallest difference that so many seeds show with this power; inf if they are too few to show any."""
    least = seeds_for_flips(alpha=level)
    if seeds <= least:
        return math.inf if seeds < least else float(ndtri(power ** (1 / least))) * spread
    z, z_power = _quantiles(level, power)
    return (z + z_power) * spread / math.sqrt(seeds - z**2 / 2)


def _quantiles(level: float, power: float) -> tuple[float, float]:
    return float(ndtri(1 - level / 2)), float(ndtri(power))
