"""Whether the best initializer differs between workloads, or only seems to."""

import math

import numpy as np
import pandas as pd

from initbench.analysis.flips import sign_flip


def crossover(scores: pd.DataFrame) -> float:
    """p value of the hypothesis that one initializer is best, or tied for best, in every workload.

    scores: complete blocks, index (workload, seed), a column for each initializer, higher is better. NaN with one
    workload or one initializer; 1 with too few seeds.

    For one initializer the hypothesis is rejected if a rival beats it on some workload: the smallest one-sided p over
    workloads and rivals, times their number (Bonferroni). The whole is rejected if it is for every initializer, so p is
    the largest of these (an intersection-union test). It tests whether the order varies between workloads, not whether
    differences vary, which they do (Gail & Simon 1985).
    """
    inits = scores.shape[1]
    blocks = [block.to_numpy(dtype=float) for _, block in scores.groupby(level="workload")]
    if len(blocks) < 2 or inits < 2:
        return math.nan
    smallest = np.ones(inits)
    for block in blocks:
        first, second = np.triu_indices(inits, 1)
        differences, alike = block[:, first] - block[:, second], np.zeros(len(block))
        behind = sign_flip(differences, alike, "less"), sign_flip(differences, alike, "greater")
        for init in range(inits):
            rivals = np.r_[behind[0][first == init], behind[1][second == init]]
            smallest[init] = min(smallest[init], rivals.min())
    return float(min(smallest.max() * len(blocks) * (inits - 1), 1.0))
