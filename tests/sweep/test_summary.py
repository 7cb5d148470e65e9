"""What becomes of records whose process is gone, and of runs that have none."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import forking
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


@pytest.mark.parametrize("launcher", [pytest.param("local", marks=pytest.mark.slow), "auto"])
def test_a_run_whose_process_dies_before_it_has_a_record_is_counted(launcher: str, tmp_path: Path) -> None:
    """Its model kills whoever makes one with seed 1; the record of an earlier attempt is none of this sweep's."""
    (tmp_path / "deadly.py").write_text(
        "import os\n\nimport torch\n\nfrom initbench.model import MLP\n\n"
        "def mlp(in_features, out_features, **keys):\n"
        "    if torch.initial_seed() == 1:\n        os._exit(9)\n"
        "    return MLP(in_features=in_features, out_features=out_features, **keys)\n"
    )
    command = [sys.executable, "-m", "initbench", "-m", f"hydra/launcher={launcher}", "trainer.max_steps=2"]
    command += ["model=mlp", "model._target_=deadly.mlp", "logger=none", "trainer.accelerator=cpu"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}

    def sweep(*arguments: str) -> subprocess.CompletedProcess[str]:
        return forking.run(tmp_path, [*command, *arguments], environment)

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


STUCK = """
import ctypes, pathlib
def stuck_(tensor, layer, generator):
    tensor.zero_()
    if list(pathlib.Path("runs/main").glob("*/record.json")):
        ctypes.PyDLL(None).sleep(100)  # in C, where no signal of Python's is heard
"""


def test_a_run_that_has_to_be_killed_when_its_sweep_is_stopped_is_interrupted(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(STUCK)
    command = [sys.executable, "-m", "initbench", "-m", "hydra/launcher=local", "model=mlp", "logger=none", "seed=0,1"]
    with subprocess.Popen(
        [*command, "trainer.accelerator=cpu", "init._target_=stuck.stuck_"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        while not list(tmp_path.glob("runs/main/*/record.json")) and program.poll() is None:
            time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        said = "".join(program.communicate(timeout=100))
    assert program.returncode == 128 + signal.SIGINT, said
    records = [read_record(path.parent) for path in tmp_path.glob("runs/main/*/record.json")]
    assert [(record["status"], record["reason"]) for record in records if record] == [("interrupted", "stopped")] * len(
        records
    )
    assert "its process died" not in said


OTHERS = [pytest.param(status, marks=pytest.mark.slow) for status in ("refused", "interrupted", "running")]


@pytest.mark.parametrize("status", ["failed", *OTHERS])
def test_a_run_of_an_older_sweep_does_not_change_the_exit_code(status: str, tmp_path: Path) -> None:
    """The same study has a run, which this sweep does not ask for, with a record of an earlier sweep."""
    command = [sys.executable, "-m", "initbench", "-m", "hydra/launcher=basic", "model=mlp", "logger=none"]
    command += ["trainer.max_steps=2", "trainer.accelerator=cpu"]

    def sweep(seeds: str) -> subprocess.CompletedProcess[str]:
        return forking.run(tmp_path, [*command, seeds])

    assert sweep("seed=0,1").returncode == 0
    (folder,) = (path.parent for path in tmp_path.glob("runs/main/*seed1*/record.json"))
    record = read_record(folder)
    assert record is not None
    write_record(folder, {**record, "status": status, "reason": "long ago", "sweep": "another"})
    found = sweep("seed=0,2")
    assert found.returncode == 0, found.stderr
    assert found.stderr == ""
