"""What becomes of records whose process is gone, and of runs that have none."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from initbench.record.life import mark_dead
from initbench.record.lock import lock
from initbench.record.store import Store, read_record, write_record


def test_a_record_that_says_running_while_nobody_is_at_it_has_failed(small: Any) -> None:
    dead, alive, done = (Store(small(f"seed={seed}")) for seed in range(3))
    for store in (dead, alive):
        store.write("running", attempt=1, started_at="2026-01-01T00:00:00+00:00")
    done.write("finished", attempt=1, started_at="2026-01-01T00:00:00+00:00")
    with lock(alive.folder) as mine:
        assert mine
        mark_dead(dead.folder.parent)
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
    mark_dead(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "notes"]


@pytest.mark.parametrize("launcher", ["local", "auto"])
def test_a_run_whose_process_dies_before_it_has_a_record_is_counted(launcher: str, tmp_path: Path) -> None:
    """Its model kills whoever makes one with seed 1; the record of an earlier attempt is none of this sweep's."""
    (tmp_path / "deadly.py").write_text(
        "import os\n\nimport torch\n\nfrom initbench.model import MLP\n\n"
        "def mlp(**keys):\n"
        "    if torch.initial_seed() == 1:\n        os._exit(9)\n"
        "    return MLP(**keys)\n"
    )
    command = [sys.executable, "-m", "initbench", "-m", f"hydra/launcher={launcher}", "trainer.max_steps=2"]
    command += ["model=mlp", "model._target_=deadly.mlp", "logger=none", "trainer.accelerator=cpu"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}

    def sweep(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)

    found = sweep("seed=0,1")
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    records = [read_record(path.parent) for path in tmp_path.glob("runs/main/*/record.json")]
    statuses = sorted(record["status"] for record in records if record)
    if launcher == "local":
        assert "1 run was never started because a process died; the same command tries again" in found.stderr
        assert statuses == ["finished"]
    else:  # which knows whose process it was
        assert statuses == ["failed", "finished"]
        (failed,) = (path.parent for path in tmp_path.glob("runs/main/*seed1*/record.json"))
        record = read_record(failed)
        assert record is not None
        write_record(failed, {**record, "status": "interrupted", "sweep": "another"})
        found = sweep("seed=0,1")
        assert found.returncode == 1
        assert "1 run was never started" in found.stderr
    assert sweep("seed=0").returncode == 0
    assert sweep("seed=1").returncode == 1  # and there is not one record, or none of now
