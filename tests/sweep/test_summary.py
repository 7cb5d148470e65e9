"""What becomes of records whose process is gone."""

from pathlib import Path
from typing import Any

from initbench.record.lock import lock
from initbench.record.store import Store, read_record
from initbench.sweep.summary import bury


def test_a_record_that_says_running_while_nobody_is_at_it_has_failed(small: Any) -> None:
    dead, alive, done = (Store(small(f"seed={seed}")) for seed in range(3))
    for store in (dead, alive):
        store.write("running", attempt=1, started_at="2026-01-01T00:00:00+00:00")
    done.write("finished", attempt=1, started_at="2026-01-01T00:00:00+00:00")
    with lock(alive.folder) as mine:
        assert mine
        bury(dead.folder.parent)
    found = read_record(dead.folder)
    assert found is not None
    assert (found["status"], found["attempt"]) == ("failed", 1)
    assert "its process died" in found["reason"]
    assert found["finished_at"] > found["started_at"]
    assert "traceback" not in found  # so that it goes on from its checkpoint
    assert [read_record(store.folder)["status"] for store in (alive, done)] == ["running", "finished"]  # type: ignore[index]  # there is one


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "index.html").write_text("")
    bury(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "notes"]
