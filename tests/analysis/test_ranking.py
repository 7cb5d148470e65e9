"""The ranking against hand computations and SciPy."""

import math
from io import StringIO

import pandas as pd
import pytest
from rich.console import Console
from scipy import stats

from initbench.analysis.ranking import mean_interval, rank, rankings, terminal_table


def runs(**columns: list[object]) -> pd.DataFrame:
    n = len(columns["init"])
    fixed = {
        "setting": "s",
        "model": "m",
        "data": "d",
        "optimizer": "sgd",
        "lr": 0.1,
        "budget": 99,
        "started_at": "2026",
    }
    return pd.DataFrame({**{key: [value] * n for key, value in fixed.items()}, **columns})


def test_interval_is_students() -> None:
    values = [0.9, 0.92, 0.95, 0.91]
    mean, half_width = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=mean, scale=stats.sem(values))
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))


def test_interval_needs_two_values() -> None:
    assert math.isnan(mean_interval([0.5])[1])
    assert math.isnan(mean_interval([])[0])


def test_rank_keeps_censored_and_diverged_runs() -> None:
    frame = runs(
        init=["a", "a", "a", "b", "b", "c"],
        status=["finished", "finished", "diverged", "finished", "finished", "failed"],
        **{
            "test/accuracy": [0.9, 0.8, math.nan, 0.95, 0.93, math.nan],
            "steps_to_0.5": [10, 20, 5, 30, 40, math.nan],
            "steps_to_0.9": [50, math.nan, math.nan, 60, 70, math.nan],
            "steps_to_0.99": [math.nan] * 6,
        },
    )
    ranking = rank(frame)
    assert ranking.target == "0.9"  # the hardest that anyone reached
    assert ranking.table.index.tolist() == ["b", "a", "c"]
    a, b, c = (ranking.table.loc[name] for name in "abc")
    assert (a["runs"], a["finished"], a["diverged"]) == (3, 2, 1)
    assert a["mean"] == pytest.approx(0.85)
    assert a["hit_rate"] == pytest.approx(1 / 3)
    assert math.isinf(a["median_steps"])  # two of three never did
    assert b["median_steps"] == 65
    assert c["failed"] == 1
    assert math.isnan(c["hit_rate"])


def test_settings_are_not_mixed_and_the_latest_is_last() -> None:
    frame = runs(init=["a", "a"], status=["finished"] * 2, **{"test/accuracy": [0.1, 0.9]})
    frame["setting"], frame["started_at"] = ["new", "old"], ["2026-02", "2026-01"]
    assert [ranking.setting for ranking in rankings(frame)] == ["old", "new"]


def test_the_table_says_never_and_hides_empty_columns() -> None:
    frame = runs(init=["[a]"], status=["finished"], **{"test/accuracy": [0.5], "steps_to_0.5": [math.nan]})
    console = Console(record=True, width=120, file=StringIO())
    console.print(terminal_table(rank(frame)))
    text = console.export_text()
    assert "[a]" in text
    assert "diverged" not in text


def test_one_odd_record_does_not_spoil_the_table() -> None:
    frame = runs(init=["a"], status=["failed"], lr=["1e-3x"])
    assert rank(frame).title == "m on d, sgd lr 1e-3x, 99 steps"
    assert rank(frame.assign(lr=None)).title == "m on d, sgd, 99 steps"


def test_where_no_target_was_reached_the_rate_is_zero() -> None:
    frame = runs(init=["a"], status=["finished"], **{"test/accuracy": [0.1], "steps_to_0.5": [math.nan]})
    row = rank(frame).table.loc["a"]
    assert row["hit_rate"] == 0
    assert math.isinf(row["median_steps"])
