"""The best learning rate at every value of an axis: the vertex of a parabola through mean scores, in log rate."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from initbench.analysis.statistics.blocks import Array
from initbench.analysis.statistics.bootstrap import bootstrap_counts


@dataclass(frozen=True)
class Scores:
    """scores: (seeds, values, rates), higher is better. left_out: seeds that did not end everywhere.

    diverged: (values, rates), whether any of the runs diverged.
    """

    init: str
    values: tuple[float, ...]
    rates: tuple[float, ...]
    scores: Array
    left_out: tuple[int, ...]
    diverged: Array

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
        ends = (0, len(self.rates) - 1)
        return [value for value, place in zip(self.values, self._places(), strict=True) if place in ends]

    def cliffs(self) -> list[float]:
        """The values with a best rate inside the grid beside which runs diverged.

        The score of a run that diverged is no point of a parabola: it would pull the vertex away by up to half a step.
        """
        found = []
        for value, place, diverged in zip(self.values, self._places(), self.diverged, strict=True):
            if 0 < place < len(self.rates) - 1 and diverged[place - 1 : place + 2].any():
                found.append(value)
        return found

    def _places(self) -> Array:
        best: Array = self.scores.mean(axis=0).argmax(axis=-1)
        return best

    def beyond(self) -> list[float]:
        """Rates to try next: one beyond each edge at which some value has its best, at the spacing there."""
        best = set(self._places().tolist())
        low, high = self.rates[:2], self.rates[-2:]
        rates = [
            *([low[0] ** 2 / low[1]] if 0 in best else []),
            *([high[1] ** 2 / high[0]] if len(self.rates) - 1 in best else []),
        ]
        return [float(f"{rate:.6g}") for rate in rates]  # as they would be typed


def scores_of(runs: pd.DataFrame, key: str, values: Sequence[float]) -> list[Scores]:
    """The validation scores of each initializer, at the given values of `key`, such as `model.width`.

    Runs that diverged have the score of a model that has learned nothing. Only rates count that were run at every
    value, and seeds that ended at all of them.

    Raises ValueError for runs that differ in more than initializer, seed, rate and this key, and for an initializer
    that has no three rates at which runs ended at every value, or no seed that ended at all of them.
    """
    runs = runs.assign(value=[at(config, key) for config in runs["workload_config"]], rate=pd.to_numeric(runs["lr"]))
    if len({_without(config, key) for config in runs["workload_config"]}) > 1:
        raise ValueError(f"transfer is for one workload: its runs differ in more than {key}")
    return [_scores(str(init), group, values) for init, group in runs.groupby("init", sort=False)]


def _scores(init: str, runs: pd.DataFrame, values: Sequence[float]) -> Scores:
    rates = [float(rate) for rate in sorted(runs["rate"].unique())]
    places = pd.MultiIndex.from_product([values, rates], names=["value", "rate"])
    table = runs.pivot_table(index="seed", columns=["value", "rate"], values="selection_score", dropna=False)
    table = table.reindex(columns=places)
    known = table.notna().any().unstack("rate")
    everywhere = [rate for rate in rates if known[rate].all()]
    if len(everywhere) < 3:
        most = known.sum(axis=1).idxmin()
        raise ValueError(
            f"{init}: runs ended at {len(everywhere)} rates at every value, and a parabola needs three; at {most:g} "
            "the fewest ended: python -m initbench.status says why"
        )
    table = table[[(value, rate) for value in values for rate in everywhere]]
    ended = table.dropna()
    if ended.empty:
        raise ValueError(f"{init}: no seed has ended at all values and rates; type the same line again")
    shape = (len(values), len(everywhere))
    is_out = runs["status"].eq("diverged") & runs["seed"].isin(ended.index)
    diverged = is_out.groupby([runs["value"], runs["rate"]]).any()
    diverged = diverged.reindex(table.columns, fill_value=False).to_numpy(bool).reshape(shape)
    left_out = tuple(int(seed) for seed in table.index if seed not in ended.index)
    scores = ended.to_numpy(float).reshape(len(ended), *shape)
    return Scores(init, tuple(values), tuple(everywhere), scores, left_out, diverged)


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


def _without(config: Any, key: str) -> str:
    """A config as text, without what it has under a dotted key."""
    group, _, name = key.partition(".")
    return json.dumps({**config, group: {k: v for k, v in config[group].items() if k != name}}, sort_keys=True)


def at(config: Any, key: str) -> Any:
    """What a config has under a dotted key; None if it lacks it."""
    for part in key.split("."):
        config = config.get(part) if isinstance(config, dict) else None
    return config
