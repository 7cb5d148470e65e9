"""The ranking against hand computations and SciPy."""

import math

import pytest
from frames import frame, record
from scipy import stats

from initbench.analysis.statistics.student import mean_interval
from initbench.analysis.workload.ranking import hardest_reached, rankings


def test_interval_is_students() -> None:
    values = [0.9, 0.92, 0.95, 0.91]
    mean, half_width = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=mean, scale=stats.sem(values))
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))


def test_interval_needs_two_values() -> None:
    assert math.isnan(mean_interval([0.5])[1])
    assert math.isnan(mean_interval([])[0])


def test_censored_and_diverged_runs_count() -> None:
    rows = [
        record("a", 0, 0.9, hits=(10, 50)),
        record("a", 1, 0.8, hits=(20, None)),
        record("a", 2, None, hits=(5, None), steps=8, status="diverged"),
        record("b", 0, 0.95, hits=(30, 60)),
        record("b", 1, 0.93, hits=(40, 70)),
        record("c", 0, status="failed"),
    ]
    (ranking,) = rankings(frame(*rows))
    assert ranking.target == "0.9"
    assert ranking.table.index.tolist() == ["b", "a", "c"]
    a, b, c = (ranking.table.loc[name] for name in "abc")
    assert (a["runs"], a["finished"], a["diverged"]) == (3, 2, 1)
    assert a["mean"] == pytest.approx((0.9 + 0.8 + 0.1) / 3)  # what diverged scores chance
    assert a["hit_rate"] == pytest.approx(1 / 3)
    assert math.isinf(a["median_steps"])  # two of three never did
    assert b["median_steps"] == 60  # the first by which half had reached it
    assert c["failed"] == 1
    assert math.isnan(c["hit_rate"])


def test_the_target_is_one_that_half_of_somebodys_runs_reached() -> None:
    lucky = [record("a", seed, hits=(10, 90 if seed == 0 else None)) for seed in range(3)]
    assert hardest_reached(frame(*lucky)) == "0.5"  # one of three is luck
    assert hardest_reached(frame(*lucky, *(record("b", seed, hits=(10, 80)) for seed in range(2)))) == "0.9"
    assert (
        hardest_reached(frame(*(record("a", seed, hits=(10 if seed else None, None)) for seed in (0, 0, 0, 1))))
        == "0.5"
    )
    assert hardest_reached(frame(record("a", 0, hits=(None, None)))) is None


def test_workloads_are_not_mixed_and_the_latest_is_last() -> None:
    old = record("a", 0, model={"depth": 1}, started_at="2026-01-01T00:00:00+00:00")
    new = record("a", 0, model={"depth": 2}, started_at="2026-02-01T00:00:00+00:00")
    assert [ranking.workload[-1] for ranking in rankings(frame(new, old))] == ["1", "2"]


@pytest.mark.parametrize("starts", [[(1, 5), (2, 3)], [(2, 3), (1, 4)], [(4, 5), (1, None)]])
def test_the_workload_that_ran_last_is_the_last(starts: list[tuple[int, int | None]]) -> None:
    """Whenever it was begun, and in whichever order its runs are listed."""
    rows = [
        record("a", seed, model={"depth": depth}, started_at=None if day is None else f"2026-01-0{day}T00:00:00+00:00")
        for depth, days in enumerate(starts)
        for seed, day in enumerate(days)
    ]
    latest = max(range(2), key=lambda depth: max(day for day in starts[depth] if day is not None))
    for order in (rows, rows[::-1]):
        assert rankings(frame(*order))[-1].workload.endswith(f"model.depth={latest}")


def test_one_odd_record_does_not_spoil_the_table() -> None:
    (ranking,) = rankings(frame(record("a", 0, status="failed", lr="1e-3x")))  # type: ignore[arg-type]  # that is it
    assert ranking.workload == "mlp on mnist, sgd lr 1e-3x, 100 steps"
    assert ranking.table["failed"].tolist() == [1]


def test_where_no_target_was_reached_the_rate_is_zero() -> None:
    (ranking,) = rankings(frame(record("a", 0, hits=(None, None))))
    assert ranking.table.loc["a", "hit_rate"] == 0
    assert math.isinf(ranking.table.loc["a", "median_steps"])


def test_runs_that_learned_are_counted_with_the_exact_interval_of_their_share() -> None:
    """Chance is 0.1: a network that predicts one class gets up to 0.1135 on MNIST, and has learned nothing."""
    scores = [0.9, 0.85, 0.8, 0.88, 0.1135, 0.1]
    rows = [record("a", seed, score) for seed, score in enumerate(scores)]
    (ranking,) = rankings(frame(*rows, record("a", 6, None, status="diverged"), record("a", 7, status="failed")))
    row = ranking.table.loc["a"]
    assert (row["learned"], row["scored"], row["runs"]) == (4, 7, 8)
    low, high = stats.binomtest(4, 7).proportion_ci(method="exact")
    assert (row["learned_low"], row["learned_high"]) == pytest.approx((low, high))
    assert row["iqm"] == pytest.approx(stats.trim_mean([*scores, 0.1], 0.25))  # what diverged scores chance
    assert row["iqm_low"] < row["iqm"] < row["iqm_high"]
    assert not ranking.all_learned


def test_where_every_run_learned_the_mean_says_it() -> None:
    (ranking,) = rankings(frame(*(record("a", seed, 0.9 + seed / 100) for seed in range(3))))
    assert ranking.all_learned
