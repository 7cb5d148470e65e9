"""The folder of a run: atomic, readable, nothing before it is needed."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from initbench.errors import Unwritable
from initbench.record.store import Store, atomic_write, check_writable


def test_nothing_is_made_before_the_first_write(small: Any) -> None:
    store = Store(small())
    assert store.read() is None
    assert not store.folder.exists()


def test_a_record_reads_back_with_nan_as_null(small: Any) -> None:
    store = Store(small())
    store.write("diverged", results={"val/loss": math.nan, "list": [math.inf, 1.0]})
    record = store.read()
    assert record is not None
    assert record["status"] == "diverged"
    assert record["results"] == {"val/loss": None, "list": [None, 1.0]}
    assert record["config"] == small()
    assert store.folder.name == f"{store.name}-{store.signature}"


def test_tables_may_have_ragged_rows(small: Any) -> None:
    store = Store(small())
    store.write("running")
    store.write_table("history", [{"step": 0, "val/loss": 2.0}, {"step": 1, "train/loss": 1.5}])
    frame = pd.read_parquet(store.folder / "history.parquet")
    assert frame["step"].tolist() == [0, 1]
    assert frame["val/loss"].isna().tolist() == [False, True]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    atomic_write(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(Unwritable, match="No space left"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    atomic_write(tmp_path / "file", b"")
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deep")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not writable: Not a directory"):
        check_writable(tmp_path / "file" / "runs")


def test_a_record_is_json_that_says_its_schema(small: Any) -> None:
    store = Store(small())
    store.write("running")
    assert json.loads((store.folder / "record.json").read_text())["schema"] == 1
