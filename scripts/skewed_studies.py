"""Tests of equal means of differently skewed scores: which of them keep their level, and how much power that costs."""

from collections.abc import Callable

import numpy as np
from scipy import stats
from simulated_studies import Array, scores

from initbench.analysis.statistics.bootstrap import studentized
from initbench.analysis.statistics.sign_flips import sign_flip

# Two initializers of equal means and standard deviations of some 1 and 0.5; differences of one seed are drawn.
SKEWED: dict[str, Callable[[np.random.Generator, tuple[int, int]], Array]] = {
    "alike, exponential": lambda rng, shape: rng.exponential(size=shape) - rng.exponential(size=shape),
    "exponential against normal": lambda rng, shape: 1 - rng.exponential(size=shape) - 0.5 * rng.normal(size=shape),
    "squared exponential against normal": lambda rng, shape: (
        (2 - rng.exponential(size=shape) ** 2) / 4.47 - 0.5 * rng.normal(size=shape)
    ),
    "lognormal against its mirror image": lambda rng, shape: (
        2 * np.exp(0.5) - rng.lognormal(size=shape) - rng.lognormal(size=shape)
    ),
    "lognormal against a constant": lambda rng, shape: np.exp(0.5) - rng.lognormal(size=shape),
    "1 of 5 runs fails against normal": lambda rng, shape: (
        1.6 - 8 * (rng.random(shape) < 0.2) + 0.7 * rng.normal(size=shape)
    ),
    "1 of 10 runs fails against normal": lambda rng, shape: (
        0.8 - 8 * (rng.random(shape) < 0.1) + 0.7 * rng.normal(size=shape)
    ),
}


def skewness(seeds: int, studies: int) -> list[list[str]]:
    """How often tests find a difference between equal means of which one is more skewed, and their power."""
    rng = np.random.default_rng(seeds)
    rows = []
    for name, draw in SKEWED.items():
        rows.append([str(seeds), name, *(f"{share:.3f}" for share in _found(draw(rng, (seeds, 10 * studies))))])
    verified = np.ones((6, studies), bool)
    tables = [0.5 * scores(rng, "normal", 8, seeds, leads=[2.0]).to_numpy() for _ in range(studies)]
    for rival in range(1, 8):
        differences = np.stack([values[:, 0] - values[:, rival] for values in tables], axis=1)
        verified &= _rejected(differences)
    rows.append([str(seeds), "*power:* 8 initializers, the best leads by 1", *(f"{of.mean():.3f}" for of in verified)])
    return rows


def _found(differences: Array) -> Array:
    return _rejected(differences).mean(axis=1)


def _rejected(differences: Array) -> Array:
    """(tests, studies): sign flips, Student's t, Johnson's t, bootstrap-t; sign flips with each of the last two."""
    flips = sign_flip(differences) < 0.05
    students = stats.ttest_1samp(differences, 0).pvalue < 0.05
    chunks = [differences[:, at : at + 200] for at in range(0, differences.shape[1], 200)]
    bootstrap = np.concatenate([studentized(chunk).p() for chunk in chunks]) < 0.05
    johnson = _johnson(differences) < 0.05
    return np.stack([flips, students, johnson, bootstrap, flips & johnson, flips & bootstrap])


def _johnson(differences: Array) -> Array:
    """p values of the t that is corrected for skewness: Johnson 1978, Modified t tests, eq. 2.5."""
    n = len(differences)
    mean, variance = differences.mean(axis=0), differences.var(axis=0, ddof=1)
    third = ((differences - mean) ** 3).mean(axis=0)
    t = (mean + third / (6 * variance * n) + third / (3 * variance**2) * mean**2) / np.sqrt(variance / n)
    return np.asarray(2 * stats.t.sf(np.abs(t), n - 1))
