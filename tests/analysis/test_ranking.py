"""The ranking against hand computations and SciPy."""

import math
from io import StringIO

import pytest
from frames import frame, record
from rich.console import Console
from scipy import stats

from initbench.analysis.ranking import Ranking, hardest_reached, mean_interval, rankings, terminal_table


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


def test_tasks_are_not_mixed_and_the_latest_is_last() -> None:
    old = record("a", 0, model={"depth": 1}, started_at="2026-01-01T00:00:00+00:00")
    new = record("a", 0, model={"depth": 2}, started_at="2026-02-01T00:00:00+00:00")
    assert [ranking.title[-1] for ranking in rankings(frame(new, old))] == ["1", "2"]


def printed(ranking: Ranking) -> str:
    console = Console(record=True, width=120, file=StringIO())
    console.print(terminal_table(ranking))
    return console.export_text()


def test_the_table_says_never_and_hides_empty_columns() -> None:
    (ranking,) = rankings(frame(record("[a]", 0, hits=(None, None))))
    text = printed(ranking)
    assert "[a]" in text
    assert "never" in text
    assert "diverged" not in text
    assert "│ lr" not in text


def test_learning_rates_are_shown_where_there_was_a_choice() -> None:
    rows = [record("a", seed, 0.5 + lr, lr=lr) for seed in (0, 1) for lr in (0.1, 0.3)]
    (ranking,) = rankings(frame(*rows))
    assert "0.3" in printed(ranking)
    assert ranking.table.loc["a", "runs"] == 2


def test_one_odd_record_does_not_spoil_the_table() -> None:
    (ranking,) = rankings(frame(record("a", 0, status="failed", lr="1e-3x")))  # type: ignore[arg-type]  # that is it
    assert ranking.title == "mlp on mnist, sgd lr 1e-3x, 100 steps"
    assert ranking.table["failed"].tolist() == [1]


def test_where_no_target_was_reached_the_rate_is_zero() -> None:
    (ranking,) = rankings(frame(record("a", 0, hits=(None, None))))
    assert ranking.table.loc["a", "hit_rate"] == 0
    assert math.isinf(ranking.table.loc["a", "median_steps"])
