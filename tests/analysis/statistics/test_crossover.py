"""Whether the best initializer differs between workloads, by hand and by simulation."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from initbench.analysis.statistics.crossover import crossover
from initbench.analysis.statistics.row_swaps import Rows


def scores(means: np.ndarray, seeds: int, noise: float = 0.0, seed: int = 0) -> pd.DataFrame:
    """(workloads, initializers) of means, with noise."""
    workloads, inits = means.shape
    index = pd.MultiIndex.from_product([range(workloads), range(seeds)], names=["workload", "seed"])
    values = np.repeat(means, seeds, axis=0) + noise * np.random.default_rng(seed).normal(size=(len(index), inits))
    return pd.DataFrame(values, index, columns=list("abcdefgh"[:inits]))


def test_by_hand() -> None:
    # a wins all six seeds of one workload, b those of the other: one-sided 1/64 each, times 2 workloads and 1 rival.
    assert crossover(scores(np.array([[0.9, 0.8], [0.7, 0.8]]), 6)) == pytest.approx(2 / 64)
    # There are three: c is beaten by a on the one and by b on the other; the worst of the three counts, times 2 * 2.
    means = np.array([[0.9, 0.8, 0.7], [0.7, 0.8, 0.75]])
    assert crossover(scores(means, 6)) == pytest.approx(4 / 64)


def test_one_that_is_best_everywhere_is_no_crossover() -> None:
    # By 2 points here and by 20 there: the differences vary, the order does not.
    assert crossover(scores(np.array([[0.9, 0.88], [0.9, 0.7]]), 10)) == 1


def test_one_workload_or_one_initializer_has_none() -> None:
    assert math.isnan(crossover(scores(np.array([[0.9, 0.8]]), 8)))
    assert math.isnan(crossover(scores(np.array([[0.9], [0.8]]), 8)))


@pytest.mark.parametrize("inits, workloads, seeds", [(2, 4, 8), (4, 4, 10)])
def test_it_holds_its_level(inits: int, workloads: int, seeds: int) -> None:
    """Where all are equal, and where one is best everywhere by so little that the others often seem to be."""
    for lead in (0.0, 0.003):
        means = np.zeros((workloads, inits))
        means[:, 0] = lead
        found = [crossover(scores(means, seeds, 0.01, seed)) < 0.05 for seed in range(300)]
        assert sum(found) <= stats.binom.ppf(0.999, 300, 0.05)


def test_it_finds_one() -> None:
    means = np.array([[0.01, 0.0, 0.0], [0.0, 0.01, 0.0]])
    assert np.mean([crossover(scores(means, 10, 0.005, seed)) < 0.05 for seed in range(50)]) > 0.8


def test_where_rates_were_chosen_rows_are_swapped() -> None:
    """The p value of a pair on a workload is that of its rows, in place of its differences."""
    table = scores(np.array([[0.9, 0.8], [0.7, 0.8]]), 6)
    one_rate = {
        str(workload): Rows(*(block.to_numpy().T[:, :, None],) * 2, tuple(range(6)), cross_fitted=True)
        for workload, block in table.groupby(level="workload")
    }
    assert crossover(table, {("a", "b"): one_rate}) == crossover(table)
    alike = {key: Rows(rows.choosing * 0, rows.scored * 0, rows.seeds, True) for key, rows in one_rate.items()}
    assert crossover(table, {("a", "b"): alike}) == 1
