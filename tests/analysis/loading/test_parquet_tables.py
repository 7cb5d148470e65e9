"""The parquet files of many runs in one frame."""

from pathlib import Path

import pandas as pd

from initbench.analysis.loading.parquet_tables import read_tables


def runs(folder: Path, *tables: pd.DataFrame | bytes | None) -> pd.DataFrame:
    """A run a table; None is a run that has none, bytes are what is in a file that is no table."""
    paths = [folder / f"run{number}" for number in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        path.mkdir()
        if isinstance(table, bytes):
            (path / "history.parquet").write_bytes(table)
        elif table is not None:
            table.to_parquet(path / "history.parquet")
    return pd.DataFrame({"path": list(map(str, paths))})


def test_rows_know_their_run_and_columns_that_some_lack_are_missing_there(tmp_path: Path) -> None:
    first = pd.DataFrame({"step": [0, 5], "loss": [2.0, 1.0], "other": ["x", "y"]})
    second = pd.DataFrame({"step": [0], "accuracy": [0.5]})
    rows, broken = read_tables(runs(tmp_path, first, None, second), "history", ["step", "loss", "accuracy"])
    assert list(rows) == ["run", "step", "loss", "accuracy"]
    assert rows["run"].tolist() == [0, 0, 2]
    assert rows["step"].tolist() == [0, 5, 0]
    assert rows["loss"].isna().tolist() == [False, False, True]
    assert rows["accuracy"].isna().tolist() == [True, True, False]
    assert broken == []


def test_columns_whose_types_differ_are_widened(tmp_path: Path) -> None:
    """A loss that was a whole number, or null, at every step of a run."""
    tables = [pd.DataFrame({"loss": column}) for column in ([1], [0.5], [None])]
    rows, _ = read_tables(runs(tmp_path, *tables), "history", ["loss"])
    assert rows["loss"].astype(float).tolist()[:2] == [1.0, 0.5]


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    whole = pd.DataFrame({"step": [7]})
    rows, broken = read_tables(runs(tmp_path, b"half of", whole, b""), "history", ["step"])
    assert rows["run"].tolist() == [1]
    assert broken == ["run0", "run2"]


def test_no_table_is_a_frame_without_rows(tmp_path: Path) -> None:
    rows, broken = read_tables(runs(tmp_path, None), "history", ["step"])
    assert (list(rows), len(rows), broken) == (["run", "step"], 0, [])
