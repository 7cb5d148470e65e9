"""Whether the best initializer differs between workloads, or only seems to."""

import math

import numpy as np
import pandas as pd

from initbench.analysis.flips import sign_flip


def crossover(scores: pd.DataFrame) -> float:
    """p value that some one initializer is best in every workload, alone or with others.

    scores: complete blocks, index (workload, seed), a column for each initializer, higher is better. NaN with one
    workload or without seeds enough for a test.

    That one initializer is best everywhere is refuted where another is better on some workload: the smallest one-sided
    p over workloads and rivals, times their number (Bonferroni). That there is any such initializer is refuted where
    each of them is: the largest of these (an intersection-union test). This is a test of the interaction in the sense
    of Gail & Simon 1985: not of whether differences vary between workloads, which they do, but of whether their order
    does.
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
