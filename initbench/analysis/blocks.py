"""Blocks, that is (workload, seed), in the order of their workloads; every workload counts the same."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def by_workload(values: npt.ArrayLike, workloads: npt.ArrayLike) -> tuple[Array, tuple[int, ...]]:
    """Values, along their first axis, in the order of their workloads; and how many blocks each workload has."""
    _, code, sizes = np.unique(np.asarray(workloads), return_inverse=True, return_counts=True)
    return np.asarray(values, dtype=float)[np.argsort(code, kind="stable")], tuple(sizes.tolist())


def starts(sizes: Sequence[int]) -> npt.NDArray[np.int64]:
    """Index of each workload's first block."""
    return np.cumsum((0, *sizes[:-1]))


def weights(sizes: Sequence[int]) -> Array:
    """The weight of each block in the mean over workloads of the means over seeds."""
    return np.repeat(1 / (len(sizes) * np.array(sizes, dtype=float)), sizes)
