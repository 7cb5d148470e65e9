"""One value for each seed, and what is rounding."""

import numpy as np
import pytest

from initbench.analysis.statistics.blocks import by_workload, rounding, seed_weights, starts


def test_the_value_of_a_seed_is_its_mean_over_workloads() -> None:
    matrix = seed_weights(["v", "v", "w", "w"], [1, 0, 0, 1])
    assert (matrix @ np.array([0.2, 0.4, 0.6, 1.0])).tolist() == pytest.approx([0.5, 0.6])  # of seed 0, then of 1


def test_the_mean_of_seeds_is_the_mean_over_workloads_of_the_means_over_seeds() -> None:
    """Whatever seeds there are: two on one workload, three others on the next, of which one is shared."""
    workloads, seeds, values = ["v", "v", "w", "w", "w"], ["a", "b", "b", "c", "d"], np.array([1.0, 3, 10, 20, 60])
    matrix = seed_weights(workloads, seeds)
    assert matrix.shape == (4, 5)
    assert (matrix @ values).mean() == pytest.approx((2 + 30) / 2)
    # Each seed's part of the mean: b has one of two and one of three, of two workloads, of four seeds.
    assert matrix.sum(axis=1).tolist() == pytest.approx([1, 1 + 2 / 3, 2 / 3, 2 / 3])


def test_blocks_in_the_order_of_their_workloads() -> None:
    values, sizes = by_workload([1, 2, 3, 4], ["w", "v", "w", "v"])
    assert values.tolist() == [2, 4, 1, 3]
    assert sizes == (2, 2)
    assert starts((2, 3, 1)).tolist() == [0, 2, 5]


def test_rounding_is_relative_to_the_larger_of_two() -> None:
    assert rounding([1e-9, -200.0], [0.0, 100.0]) == pytest.approx([1e-21, 2e-10])
    assert rounding(-3.0) == pytest.approx(3e-12)
