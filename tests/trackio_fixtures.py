"""A Trackio that keeps nothing in the user's place: for conftest.py of the folders that need one."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def trackio_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a Trackio that knows no server keeps its runs: an empty place that is not the user's."""
    pytest.importorskip("trackio", reason="needs the extra `trackio`")
    for name in [name for name in os.environ if name.startswith("TRACKIO_")]:
        monkeypatch.delenv(name)
    place = tmp_path / "trackio"
    monkeypatch.setenv("TRACKIO_DIR", str(place))  # for other processes: this one has read it
    for module in ("utils", "sqlite_storage"):
        monkeypatch.setattr(f"trackio.{module}.TRACKIO_DIR", place)
    return place
