"""The score against the learning rate."""

import math

import pytest
from frames import frame, record

from initbench.analysis.workload.lr_sensitivity import good_range, lr_sensitivity


def test_means_intervals_and_divergence_rate_by_rate() -> None:
    rows = [record("a", 0, 0.8, lr=0.1), record("a", 1, 0.9, lr=0.1), record("a", 0, None, lr=1.0, status="diverged")]
    table = lr_sensitivity(frame(*rows, record("a", 1, lr=1.0, status="failed")))
    assert table["lr"].tolist() == [0.1, 1.0]
    assert table["mean"].tolist() == pytest.approx([0.85, 0.1])
    assert table["half_width"][0] == pytest.approx(
        12.706 * 0.05, rel=1e-3
    )  # t(.975, 1) * s / sqrt(2), s = .1 / sqrt(2)
    assert math.isnan(table["half_width"][1])
    assert table["runs"].tolist() == [2, 1]
    assert table["diverged"].tolist() == [0, 1]


def test_the_good_range_is_contiguous_around_the_best() -> None:
    means = {0.001: 0.895, 0.01: 0.5, 0.1: 0.9, 1.0: 0.893, 10.0: 0.6}
    table = good_range(lr_sensitivity(frame(*(record("a", 0, mean, lr=lr) for lr, mean in means.items()))))
    row = table.loc["a"]
    assert (row["best_lr"], row["low"], row["high"]) == (0.1, 0.1, 1.0)  # 0.001 is good too, but beyond a bad one
    assert row["decades"] == pytest.approx(1)
    assert not row["is_open"]


def test_a_range_that_ends_with_the_grid_may_be_wider() -> None:
    rows = [
        record("a", 0, 0.9, lr=0.1),
        record("a", 0, 0.2, lr=1.0),
        record("b", 0, 0.9, lr=0.1),
        record("b", 0, 0.9, lr=1.0),
    ]
    table = good_range(lr_sensitivity(frame(*rows)))
    assert table.index.tolist() == ["b", "a"]  # the widest first
    assert table["is_open"].all()


def test_who_learns_at_no_rate_has_no_good_one() -> None:
    rows = [record(init, 0, mean, lr=lr) for init, mean in (("a", 0.9), ("b", 0.105)) for lr in (0.1, 1.0)]
    assert good_range(lr_sensitivity(frame(*rows)), chance=0.1).index.tolist() == ["a"]


def test_without_rates_there_is_nothing() -> None:
    table = lr_sensitivity(frame(record("a", 0, lr=None)))
    assert table.empty
    assert good_range(table).empty
