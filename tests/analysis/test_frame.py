"""Records as a frame."""

from pathlib import Path
from typing import Any

import pytest

from initbench.analysis.frame import load_history, load_runs
from initbench.record.store import Store


def test_a_record_of_each_status_is_a_row(small: Any, tmp_path: Path) -> None:
    for seed, status in enumerate(("finished", "diverged", "failed", "running")):
        Store(small(f"seed={seed}", f"study=deep/{status}")).write(status)
    frame = load_runs(tmp_path)
    assert sorted(frame["status"]) == ["diverged", "failed", "finished", "running"]
    assert sorted(frame["seed"]) == [0, 1, 2, 3]
    assert frame["lr"].tolist() == [small()["optimizer"]["lr"]] * 4
    assert all(Path(path).is_dir() for path in frame["path"])


def test_an_empty_folder_is_an_empty_frame_with_columns(tmp_path: Path) -> None:
    assert load_runs(tmp_path).empty
    assert "status" in load_runs(tmp_path)
    assert load_history(tmp_path).empty


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        load_runs(tmp_path / "nowhere")
