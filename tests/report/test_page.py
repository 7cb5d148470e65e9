"""The page of learning curves."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from initbench.analysis.frame import load_runs
from initbench.record.store import Store
from initbench.report.page import mean_curve, write_page


def study(small: Any, **accuracies: list[float]) -> Path:
    """A study with one run a curve, named by its initializer."""
    for seed, (name, curve) in enumerate(accuracies.items()):
        config = small(f"seed={seed}", "study=page")
        config["init"]["name"] = name
        store = Store(config)
        store.write("finished", results={"test/accuracy": curve[-1]}, targets={}, started_at="2026")
        store.write_table("history", [{"step": 10 * i, "val/accuracy": a} for i, a in enumerate(curve)])
    return Path(small()["runs_dir"]) / "page"


def test_the_page_opens_offline_and_escapes_names(small: Any) -> None:
    folder = study(small, **{"<script>alert(1)</script>": [0.1, 0.5], "ünïcode": [0.1, 0.9]})
    page = write_page(folder, load_runs(folder))
    text = page.read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "ünïcode" in text
    assert "https://" not in text
    assert (folder / "plotly.min.js").stat().st_size > 1_000_000


def test_a_study_without_a_finished_run_still_has_a_page(small: Any) -> None:
    Store(small("study=page")).write("refused", reason="impossible", started_at="2026")
    folder = Path(small()["runs_dir"]) / "page"
    assert "1 runs" in write_page(folder, load_runs(folder)).read_text()


def test_mean_and_range_over_seeds(small: Any) -> None:
    folder = study(small, a=[0.1, 0.5, 0.9], b=[0.3, 0.7])
    curve = mean_curve(load_runs(folder))
    assert curve.index.tolist() == [0, 10, 20]
    assert curve["mean"].tolist() == pytest.approx([0.2, 0.6, 0.9])
    assert curve["low"].tolist() == [0.1, 0.5, 0.9]
    assert curve["high"].tolist() == [0.3, 0.7, 0.9]


def test_no_history_is_no_curve() -> None:
    assert mean_curve(pd.DataFrame({"path": []})).empty
