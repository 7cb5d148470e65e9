"""The short runs beside a study of transfer, from their records."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import record

from initbench.analysis.loading.frame import load_runs
from initbench.record.store import write_record
from initbench.transfer.asked import Asked
from initbench.transfer.best_rate import Scores
from initbench.transfer.check import STEPS, checks, rate_of
from initbench.transfer.drift import Drift

ASKED = Asked("width", "model.width", (8.0, 16.0), (0.1, 0.2, 0.4), "s", Path("runs"), dry_run=False, overrides=())


def layers(moments: dict[str, float], critical: float) -> pd.DataFrame:
    """Second moments that are four times as large in the end, 2 / lambda_max that is half of what it was."""
    rows = [
        {"step": step, "layer": layer, "quantity": "pre_second_moment", "value": moment * factor}
        for layer, moment in moments.items()
        for step, factor in ((0, 1.0), (STEPS, 4.0))
    ]
    rows += [{"step": step, "layer": "", "quantity": "dead", "value": 7.0} for step in (0, STEPS)]
    for step, factor in ((STEPS, 0.5), (0, 1.0)):
        rows.append({"step": step, "layer": "", "quantity": "critical_learning_rate", "value": critical * factor})
    return pd.DataFrame(rows)


def write(folder: Path, table: pd.DataFrame, init: str, width: int, lr: float) -> None:
    made: dict[str, Any] = record(init, 0, 0.8, lr=lr, model={"width": width})
    write_record(folder, made)
    table.to_parquet(folder / "layers.parquet")


def test_sizes_are_root_mean_squares_after_the_steps_and_critical_rates_those_at_init(tmp_path: Path) -> None:
    write(tmp_path / "0", layers({"out": 9.0, "in": 1.0, "extra": 5.0}, 0.3), "a", 16, 0.1)
    write(tmp_path / "1", layers({"out": 4.0, "in": 0.25}, 0.6), "a", 8, 0.1)
    write(tmp_path / "2", layers({"out": 100.0, "in": 100.0}, 9.0), "a", 8, 0.2)  # at another rate
    write(tmp_path / "3", layers({"out": 16.0}, 0.5), "b", 16, 0.1)
    found = checks(load_runs(tmp_path), ASKED, 0.1)
    assert [*found] == ["a", "b"]
    assert {layer: [*map(float, sizes)] for layer, sizes in found["a"].sizes.items()} == {
        "out": [4.0, 6.0],  # of layers that there are at all values
        "in": [1.0, 2.0],
    }
    assert found["a"].critical == [0.6, 0.3]
    assert found["b"].sizes == {}
    assert np.isnan(found["b"].critical[0])
    assert found["b"].critical[1] == 0.5


def test_short_runs_have_the_median_of_what_is_best_at_the_smallest_value() -> None:
    nothing = np.zeros(2)
    scores = Scores("a", (8.0, 16.0), (1.0, 2.0, 4.0), np.zeros((1, 2, 3)), (), np.zeros((2, 3), dtype=bool))
    of_inits = [
        Drift(scores, np.array([best, 10.0 * number]), nothing, nothing, 0.0, 0.0, 0.0)
        for number, best in enumerate((-3.0, -1.0, -2.0))
    ]
    assert rate_of(of_inits) == pytest.approx(0.25)
