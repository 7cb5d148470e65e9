"""Whether the best initializer differs between workloads, or only seems to."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from initbench.analysis.statistics.blocks import Array, rounding
from initbench.analysis.statistics.row_swaps import Rows, swap_test
from initbench.analysis.statistics.sign_flips import sign_flip


def crossover(scores: pd.DataFrame, chosen: Mapping[tuple[str, str], Mapping[str, Rows]] | None = None) -> float:
    """p value of the hypothesis that one initializer is best, or tied for best, in every workload.

    scores: complete blocks, index (workload, seed), a column for each initializer, higher is better; chosen: the pairs
    whose learning rates were chosen, as in `statistics.row_swaps.Swaps`. NaN with one workload or one initializer;
    1 with too few seeds.

    The hypothesis that one given initializer is best everywhere is rejected if a rival beats it on some workload: the
    smallest one-sided p over workloads and rivals, times their number (Bonferroni). The whole hypothesis is rejected if
    that of every initializer is, so p is the largest of these (an intersection-union test). It tests whether the order
    varies between workloads, not whether differences vary, which they do (Gail & Simon 1985).
    """
    inits = scores.shape[1]
    workloads = dict(iter(scores.groupby(level="workload")))
    if len(workloads) < 2 or inits < 2:
        return math.nan
    smallest = np.ones(inits)
    for workload, block in workloads.items():
        rows = {pair: of[str(workload)] for pair, of in (chosen or {}).items()}
        for init, behind in enumerate(_behind(block, rows)):
            smallest[init] = min(smallest[init], behind.min())
    return float(min(smallest.max() * len(workloads) * (inits - 1), 1.0))


def _behind(block: pd.DataFrame, chosen: Mapping[tuple[str, str], Rows]) -> Array:
    """One-sided p values, (initializers, rivals), that each is not behind a rival on one workload."""
    names, values = list(map(str, block)), block.to_numpy(dtype=float)
    first, second = np.triu_indices(len(names), 1)
    differences = values[:, first] - values[:, second]
    differences[np.abs(differences) <= rounding(values[:, first], values[:, second])] = 0.0
    p = np.ones((len(names), len(names)))
    p[first, second] = sign_flip(differences, "less")
    p[second, first] = sign_flip(differences, "greater")
    for (a, b), rows in chosen.items():
        at = names.index(a), names.index(b)
        p[at], p[at[::-1]] = swap_test([rows], "less"), swap_test([rows], "greater")
    return p
