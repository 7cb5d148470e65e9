"""Histories averaged over seeds."""

from typing import Any

import pandas as pd
import pytest
from frames import record

from initbench.analysis.loading.frame import load_history, to_frame
from initbench.analysis.workload.learning_curves import load_curves, mean_curves, thinned
from initbench.metric import ACCURACY
from initbench.record.flat import flat
from initbench.record.store import Store


@pytest.fixture
def runs(small: Any) -> pd.DataFrame:
    """Two seeds; the second ends, diverged, after one step."""
    histories = (
        [
            {"step": 0, "seconds": 0.0, "val/accuracy": 0.1, "val/loss": 2.3},
            {"step": 5, "seconds": 1.0, "train/loss": 2.0},
            {"step": 10, "seconds": 2.0, "val/accuracy": 0.5, "val/loss": 1.0},
        ],
        [{"step": 0, "seconds": 0.0, "val/accuracy": 0.3, "val/loss": 2.5}],
    )
    rows = []
    for seed, history in enumerate(histories):
        store = Store(small(f"seed={seed}"))
        store.write_table("history", history)
        rows.append({**flat(record("a", seed)), "path": str(store.folder)})
    return to_frame(rows)


def test_rows_of_all_runs_with_the_seconds_of_the_initialization(runs: pd.DataFrame) -> None:
    curves, broken = load_curves(runs, ACCURACY)
    assert broken == []
    assert curves[["seed", "step", "seconds"]].to_numpy().tolist() == [
        [0, 0, 0.5],
        [0, 5, 1.5],
        [0, 10, 2.5],
        [1, 0, 0.5],
    ]
    assert curves["val/error"].dropna().tolist() == pytest.approx([0.9, 0.5, 0.7])
    assert load_history(runs["path"].iloc[0])["step"].tolist() == [0, 5, 10]


def test_mean_and_range_step_by_step(runs: pd.DataFrame) -> None:
    curves = mean_curves(load_curves(runs, ACCURACY)[0])
    assert set(curves) == {("a", of) for of in ("val/accuracy", "val/error", "val/loss", "train/loss")}
    curve = curves["a", "val/accuracy"]
    assert curve.index.tolist() == [0, 10]
    assert curve["mean"].tolist() == pytest.approx([0.2, 0.5])
    assert curve["low"].tolist() == [0.1, 0.5]
    assert curve["high"].tolist() == [0.3, 0.5]
    assert curve["runs"].tolist() == [2, 1]
    assert curve["seconds"].tolist() == [0.5, 2.5]
    assert curves["a", "train/loss"].index.tolist() == [5]


@pytest.mark.parametrize("length, points, kept", [(10, 4, [0, 3, 6, 9]), (11, 4, [0, 3, 6, 9, 10]), (3, 9, [0, 1, 2])])
def test_thinning_keeps_every_kth_and_the_last(length: int, points: int, kept: list[int]) -> None:
    assert thinned(pd.DataFrame(index=range(length)), points).index.tolist() == kept


def test_no_history_is_no_curve() -> None:
    curves, broken = load_curves(to_frame([{**flat(record("a", 0)), "path": "nowhere"}]), ACCURACY)
    assert curves.empty
    assert broken == []
    assert mean_curves(curves) == {}
