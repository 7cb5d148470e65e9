"""What the test samples of a workload's runs say about new data: see `statistics.new_data`."""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from initbench.analysis.statistics.blocks import Array
from initbench.analysis.statistics.new_data import Intervals, intervals, share_of_test_set
from initbench.analysis.workload.ranking import Ranking
from initbench.metric import Metric
from initbench.record.damage import readable
from initbench.record.samples import read_test_samples

_ENDS = [field.name for field in fields(Intervals)][1:]


@dataclass(frozen=True)
class NewData:
    """The scores of a workload for its test samples and for new ones.

    values: for each initializer, the best first, the scores (seeds, samples) of its runs, whose seeds are in `seeds`.
    An initializer is left out if some run of it has no values, because it diverged or is from an earlier version.
    learned: those of which every run learned something; stuck runs differ in other ways.
    """

    workload: str
    metric: Metric
    values: Mapping[str, Array]
    seeds: Mapping[str, list[object]]
    learned: frozenset[str]

    @property
    def samples(self) -> int:
        """The size of the test set."""
        return len(next(iter(self.values.values()))[0])

    @cached_property
    def share(self) -> tuple[float, float, float]:
        """See `share_of_test_set`; of the initializers in `learned`, over the seeds that all of them have.

        Where a few samples with large errors may decide, as with squared errors, the interval would be too short (see
        docs/explanation/comparison.md), and is NaN.
        """
        inits = [init for init in self.values if init in self.learned]
        common = (
            [seed for seed in self.seeds[inits[0]] if all(seed in self.seeds[init] for init in inits)] if inits else []
        )
        if len(common) < 2:
            return math.nan, math.nan, math.nan
        share, low, high = share_of_test_set(np.stack([self._at(init, common) for init in inits]))
        is_even = self.metric.is_share or self.metric.unit == "nats"
        return (share, low, high) if is_even else (share, math.nan, math.nan)

    @cached_property
    def means(self) -> pd.DataFrame:
        """Index: init; columns: mean, low, high for these samples, new_low, new_high for new ones."""
        rows = {init: astuple(self._of_mean(values)) for init, values in self.values.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", *_ENDS])

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Every two initializers with two seeds in common: a, b, seeds, difference (at least 0), low, high, ...

        The intervals are those of `means`. Each of the two kinds holds for all pairs at once (Bonferroni).
        """
        pairs = list(combinations(self.values, 2))
        common = {(a, b): [seed for seed in self.seeds[a] if seed in self.seeds[b]] for a, b in pairs}
        common = {pair: seeds for pair, seeds in common.items() if len(seeds) > 1}
        rows = []
        for (a, b), seeds in common.items():
            difference = self._at(a, seeds) - self._at(b, seeds)
            if difference.mean() < 0:
                a, b, difference = b, a, -difference
            rows.append([a, b, len(seeds), *astuple(intervals(difference, 1 - 0.05 / len(common)))])
        return pd.DataFrame(rows, columns=["a", "b", "seeds", "difference", *_ENDS])

    def leads(self, init: str) -> pd.DataFrame:
        """The rows of `pairs` with `init` as its leads, which may be negative; index: the other one."""
        ahead = self.pairs[self.pairs["a"] == init].set_index("b").drop(columns="a")
        behind = self.pairs[self.pairs["b"] == init].set_index("a").drop(columns="b")
        turned = -behind[["difference", "high", "low", "new_high", "new_low"]]
        turned.columns = ahead.columns.drop("seeds")
        return pd.concat([ahead, turned.assign(seeds=behind["seeds"])])

    def _of_mean(self, values: Array) -> Intervals:
        """The intervals of a mean score, by way of the values of the metric, which may be shares."""
        sign = self.metric.sign
        of = intervals(sign * values, are_shares=self.metric.is_share)
        return of if sign > 0 else Intervals(-of.mean, -of.high, -of.low, -of.new_high, -of.new_low)

    def _at(self, init: str, seeds: list[object]) -> Array:
        places = [self.seeds[init].index(seed) for seed in seeds]
        return self.values[init][places]


def new_data(ranking: Ranking, metric: Metric) -> NewData | None:
    """Read the test samples of a workload's scored runs; None if there are too few of them for any interval.

    That is, if no initializer has two runs of which all have samples, or if test sets are of different sizes.
    """
    values, seeds, sizes = {}, {}, set()
    ended = ranking.scored[ranking.scored["score"].notna()]
    for init in map(str, ranking.table.index):
        runs = ended[ended["init"] == init]
        found = scores_of_samples(runs, metric)
        if found is None or len(found) < 2:
            continue
        sizes.add(found.shape[1])
        if len(sizes) > 1:
            return None
        values[init], seeds[init] = found, list(runs["seed"])
    table = ranking.table
    learned = frozenset(map(str, table.index[table["learned"] == table["scored"]]))
    return NewData(ranking.workload, metric, values, seeds, learned) if values else None


def scores_of_samples(runs: pd.DataFrame, metric: Metric) -> Array | None:
    """(runs, samples), the scores of the test samples; None unless all runs have them, and equally many."""
    read = [None if path is None else readable(read_test_samples, Path(path)) for path in runs["path"]]
    found = [one for one in read if one is not None]
    if not found or len(found) < len(read) or len({len(one) for one in found}) > 1 or not len(found[0]):
        return None
    return np.asarray(metric.sign * np.stack(found))
