"""Diagnostics through depth: medians over seeds, layer by layer."""

from pathlib import Path

import pandas as pd
import pytest
from frames import record
from studies import of_layers, write_study

from initbench.analysis.loading.frame import load_runs
from initbench.analysis.workload.depth import median_curves


def test_the_median_over_seeds_in_the_order_of_execution(tmp_path: Path) -> None:
    study = write_study(tmp_path / "s", *(record("a", seed) for seed in range(3)), record("b", 0), record("c", 0))
    values = ([1.0, 2.0, 3.0], [3.0, 2.0, 5.0], [2.0, 9.0, 4.0], [7.0, 7.0, 7.0])
    for folder, moments in zip(sorted(study.iterdir()), values, strict=False):
        of_layers(moments).to_parquet(folder / "layers.parquet")
    curves, broken = median_curves(load_runs(study))
    assert (sorted(curves), broken) == (["a", "b"], [])
    assert curves["a"].index.tolist() == ["layer9", "layer8", "layer7"]
    assert curves["a"]["pre_second_moment"].tolist() == pytest.approx([2, 2, 4])  # of step 0 alone
    assert sorted(curves["a"]) == ["dead", "pre_second_moment"]


def test_no_diagnostics_are_no_curves() -> None:
    assert median_curves(pd.DataFrame({"path": [], "init": []})) == ({}, [])
