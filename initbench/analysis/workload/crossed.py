"""Runs of a workload whose sources of randomness were crossed: see `statistics.components`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from initbench.analysis.statistics.blocks import Array
from initbench.analysis.statistics.components import Part, components
from initbench.analysis.workload.new_data import scores_of_samples
from initbench.analysis.workload.ranking import Ranking
from initbench.metric import Metric


@dataclass(frozen=True)
class Crossed:
    """Where the variance between the runs of a workload comes from.

    levels: how many seeds there are of each source that has several. parts: for each initializer with all of the runs,
    the best first, the parts of the variance. missing: for each of the others, how many of the runs have a score.
    """

    workload: str
    levels: dict[str, int]
    parts: dict[str, dict[str, Part]]
    missing: dict[str, int]

    @property
    def cells(self) -> int:
        """How many runs each initializer should have."""
        return int(np.prod(list(self.levels.values())))

    @property
    def names(self) -> list[str]:
        """The parts of the variance that some initializer has."""
        return list(dict.fromkeys(name for parts in self.parts.values() for name in parts))


def crossed(ranking: Ranking, metric: Metric) -> Crossed:
    """The parts of the variance for each initializer that has a run for every combination of the seeds.

    Without the values of test samples, there is no part that is due to the test set.
    """
    runs = ranking.scored[ranking.scored["score"].notna()]
    seeds = pd.DataFrame(runs["seeds"].tolist(), index=runs.index)
    sources = [str(name) for name in seeds if seeds[name].nunique() > 1]
    levels = {source: seeds[source].nunique() for source in sources}
    parts, missing = {}, {}
    for init in map(str, ranking.table.index):
        own = runs[runs["init"] == init]
        order = seeds.loc[own.index].sort_values(sources).index
        if len(order) == int(np.prod(list(levels.values()))):
            values = _values(own.loc[order], metric)
            parts[init] = components(values.reshape(*levels.values(), values.shape[1]), sources)
        else:
            missing[init] = len(order)
    return Crossed(ranking.workload, levels, parts, missing)


def _values(runs: pd.DataFrame, metric: Metric) -> Array:
    """(runs, samples), or (runs, 1) if there are no more than the scores of whole runs."""
    values = scores_of_samples(runs, metric)
    return runs[["score"]].to_numpy(dtype=float) if values is None else values
