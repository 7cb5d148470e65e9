"""Blocks, which are pairs (workload, seed), and means over them in which every workload counts the same."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

TIE = 1e-12  # by how much scores of about 1 that are equal on paper may differ in their last bits


def by_workload(values: npt.ArrayLike, workloads: npt.ArrayLike) -> tuple[Array, tuple[int, ...]]:
    """The values, sorted by workload along their first axis, and how many blocks each workload has."""
    _, code, sizes = np.unique(np.asarray(workloads), return_inverse=True, return_counts=True)
    return np.asarray(values, dtype=float)[np.argsort(code, kind="stable")], tuple(sizes.tolist())


def starts(sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    """Index of the first block of each workload, from the number of blocks of each."""
    return np.cumsum((0, *sizes[:-1]))


def seed_weights(workloads: npt.ArrayLike, seeds: npt.ArrayLike) -> Array:
    """(seeds, blocks): the matrix that turns values of blocks into one value per seed.

    workloads, seeds: (blocks,) labels. The mean of the values is the mean over workloads of the means over seeds. Where
    every workload has the same seeds, the value of a seed is its mean over workloads. Runs of one seed on two workloads
    may share initial weights and batches; they are not independent, so that a seed is one observation however many
    workloads there are.
    """
    _, workload, sizes = np.unique(np.asarray(workloads), return_inverse=True, return_counts=True)
    labels, seed = np.unique(np.asarray(seeds), return_inverse=True)
    matrix = np.zeros((labels.size, workload.size))
    matrix[seed, np.arange(workload.size)] = labels.size / (sizes.size * sizes[workload])
    return matrix


def rounding(a: npt.ArrayLike, b: npt.ArrayLike = 0.0) -> Array:
    """By how much scores or means that are equal on paper may differ in their last bits; elementwise."""
    return np.asarray(TIE * np.maximum(np.abs(a), np.abs(b)), dtype=float)
