"""Simulated values of single test samples, of runs whose truth is known: for scripts/bench_verdict.py and the tests."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import expit

from initbench.analysis.statistics.blocks import Array
from initbench.analysis.statistics.new_data import MeanSquares

_AHEAD = 0.3  # by how much the first initializer is better, in the unit of `level`
_SAME_SEED = 0.5  # correlation of the effects of one seed on two initializers
_SAME_SAMPLE = 0.8  # and of the difficulties of one sample


@dataclass(frozen=True)
class Scenario:
    """Runs and samples as standard normal effects, each times its deviation.

    kind: "right" samples, with the logit level + sample + run; "loss", log-normal; "error", squared.
    """

    kind: str
    samples: int
    level: float
    of_samples: float
    of_runs: float
    residual: float = 0.0

    def values(self, rng: np.random.Generator, seeds: int, inits: int = 2, samples: int | None = None) -> Array:
        """(initializers, seeds, samples); higher is worse except for right samples."""
        samples = samples or self.samples
        run = _alike(rng, inits, seeds, _SAME_SEED)[:, :, None]
        sample = _alike(rng, inits, samples, _SAME_SAMPLE)[:, None, :]
        effects = self._levels(inits)[:, None, None] + self.of_runs * run + self.of_samples * sample
        shape = (inits, seeds, samples)
        if self.kind == "right":
            return (rng.random(shape) < expit(effects)).astype(float)
        effects = effects + self.residual * rng.normal(size=shape)
        return np.exp(effects) if self.kind == "loss" else np.square(effects)

    def means(self, inits: int = 2) -> Array:
        """The true means, over all runs and samples."""
        variance = self.of_samples**2 + self.of_runs**2 + self.residual**2
        levels = self._levels(inits)
        if self.kind == "right":
            nodes, weights = np.polynomial.hermite_e.hermegauss(100)
            return expit(levels[:, None] + np.sqrt(variance) * nodes) @ (weights / weights.sum())
        return np.exp(levels + variance / 2) if self.kind == "loss" else levels**2 + variance

    def share(self) -> float:
        """The true share of the test set in the variance between the runs of the second initializer."""
        return _share(self)

    def _levels(self, inits: int) -> Array:
        return self.level + np.array([_AHEAD, *[0.0] * (inits - 1)])[:inits]


@cache
def _share(scenario: Scenario) -> float:
    values = scenario.values(np.random.default_rng(0), seeds=3000, samples=2000)[1]
    squares = MeanSquares.of(values)
    between_runs = (squares.of_runs - squares.residual) / squares.samples
    of_test_set = squares.residual / scenario.samples
    return of_test_set / (of_test_set + max(between_runs, 0.0))


def _alike(rng: np.random.Generator, inits: int, size: int, correlation: float) -> Array:
    common, own = rng.normal(size=size), rng.normal(size=(inits, size))
    return np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own


SCENARIOS = {
    "90% of 600 right, runs alike": Scenario("right", 600, 6.4, 5.0, 0.0),
    "90% of 600 right, runs differ a little": Scenario("right", 600, 6.4, 5.0, 0.2),
    "90% of 600 right, runs differ": Scenario("right", 600, 6.4, 5.0, 0.8),
    "90% of 600 right, samples equally hard": Scenario("right", 600, 2.2, 0.3, 0.1),
    "90% of 10,000 right, runs differ a little": Scenario("right", 10_000, 6.4, 5.0, 0.2),
    "99% of 600 right, runs differ a little": Scenario("right", 600, 11.7, 5.0, 0.2),
    "losses of 250 texts": Scenario("loss", 250, 0.5, 0.5, 0.01, 0.2),
    "squared errors of 200 rows": Scenario("error", 200, 0.3, 1.0, 0.1, 0.3),
}
