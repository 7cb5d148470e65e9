"""The best learning rate at every value of an axis: the vertex of a parabola through mean scores, in log rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from initbench.analysis.statistics.blocks import Array
from initbench.analysis.statistics.bootstrap import bootstrap_counts


@dataclass(frozen=True)
class Scores:
    """scores: (seeds, values, rates), higher is better. left_out: seeds that did not end everywhere."""

    init: str
    values: tuple[float, ...]
    rates: tuple[float, ...]
    scores: Array
    left_out: int

    @property
    def seeds(self) -> int:
        """How many seeds ended at all values and rates."""
        return len(self.scores)

    def best(self) -> Array:
        """log2 of the best rate at each value, (values,)."""
        return vertices(self.scores.mean(axis=0), np.log2(self.rates))

    def resampled(self) -> Array:
        """The same for resamples of the seeds, (RESAMPLES, values)."""
        counts = bootstrap_counts((self.seeds,)) / self.seeds
        means = (counts @ self.scores.reshape(self.seeds, -1)).reshape(len(counts), *self.scores.shape[1:])
        return vertices(means, np.log2(self.rates))

    def edges(self) -> list[float]:
        """The values at which the best rate is the lowest or the highest that was tried."""
        best = self.scores.mean(axis=0).argmax(axis=-1)
        return [value for value, place in zip(self.values, best, strict=True) if place in (0, len(self.rates) - 1)]

    def beyond(self) -> list[float]:
        """Rates to try next: one beyond each edge at which some value has its best, at the spacing there."""
        best = set(self.scores.mean(axis=0).argmax(axis=-1).tolist())
        low, high = self.rates[:2], self.rates[-2:]
        return [
            *([low[0] ** 2 / low[1]] if 0 in best else []),
            *([high[1] ** 2 / high[0]] if len(self.rates) - 1 in best else []),
        ]


def scores_of(runs: pd.DataFrame, key: str, values: Sequence[float]) -> list[Scores]:
    """The validation scores of each initializer, at the given values of `key`, such as `model.width`.

    Runs that diverged have the score of a model that has learned nothing. Only rates count that were run at every
    value, and seeds that ended at all of them.
    """
    runs = runs.assign(value=[at(config, key) for config in runs["workload_config"]], rate=pd.to_numeric(runs["lr"]))
    runs = runs[runs["value"].isin(values)]
    found = []
    for init, group in runs.groupby("init", sort=False):
        table = group.pivot_table(index="seed", columns=["value", "rate"], values="selection_score", dropna=False)
        rates = [float(rate) for rate in sorted(group["rate"].unique())]
        everywhere = [rate for rate in rates if all(table[value, rate].notna().any() for value in values)]
        table = table[[(value, rate) for value in values for rate in everywhere]]
        ended = table.dropna()
        scores = ended.to_numpy(float).reshape(len(ended), len(values), len(everywhere))
        found.append(Scores(str(init), tuple(values), tuple(everywhere), scores, len(table) - len(ended)))
    return found


def vertices(means: Array, x: Array) -> Array:
    """Where the parabola through the highest of the means, (..., rates), and its neighbours is highest; x: (rates,).

    At an edge of the grid it is the edge.
    """
    best = means.argmax(axis=-1)
    middle = np.clip(best, 1, len(x) - 2)
    y = [np.take_along_axis(means, (middle + step)[..., None], axis=-1)[..., 0] for step in (-1, 0, 1)]
    x0, x1, x2 = (x[middle + step] for step in (-1, 0, 1))
    slope, next_slope = (y[1] - y[0]) / (x1 - x0), (y[2] - y[1]) / (x2 - x1)
    curvature = (next_slope - slope) / (x2 - x0)
    with np.errstate(divide="ignore", invalid="ignore"):
        vertex = (x0 + x1) / 2 - slope / (2 * curvature)  # the slope of a parabola halfway is that of the chord
    inside = (best == middle) & (curvature < 0)
    return np.where(inside, np.clip(vertex, x0, x2), x[best])


def at(config: Any, key: str) -> Any:
    """What a config has under a dotted key; None if it lacks it."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config
