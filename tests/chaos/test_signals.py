"""Ctrl-C and SIGTERM: the end, a word on how to go on, and the same bits in the end."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from outcomes import outcomes

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

FIXED = [
    *("logger=none", "trainer.accelerator=cpu", "trainer.threads=1", "model=mlp", "init=orthogonal"),
    *("trainer.max_steps=800", "trainer.max_epochs=-1", "data.val_every_n_steps=150", "checkpoint_seconds=0.2"),
]
ENGINES = {
    "one run": [],
    "basic": ["-m", "seed=0,1,2", "hydra/launcher=basic"],
    "local": ["-m", "seed=0,1,2", "hydra/launcher=local", "hydra.launcher.slots=2"],
    "packed": ["-m", "seed=0,1,2,3", "hydra/launcher=packed", "hydra.launcher.slots=2"],
    "two processes": ["trainer.devices=2"],
}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    command = [sys.executable, "-m", "initbench", f"data_dir={folder.parent}", *FIXED, *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_ends_it_and_it_goes_on(tmp_path: Path, engine: str, signum: int) -> None:
    folder = tmp_path / "stopped"
    process = start(folder, *ENGINES[engine])
    until = time.monotonic() + 120
    while not list(folder.glob("runs/main/*/*.ckpt")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(process.pid, signum)  # as a terminal does; a worker pool is in groups of its own
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + signum, said
    assert "type the same command again to continue" in said
    assert "Traceback" not in said
    records = [json.loads(path.read_text()) for path in folder.glob("runs/main/*/record.json")]
    assert "interrupted" in {record["status"] for record in records}
    assert {record["status"] for record in records} <= {"interrupted", "finished"}

    for place in ("stopped", "whole"):
        again = start(tmp_path / place, *ENGINES[engine])
        _, said = again.communicate(timeout=200)
        assert again.returncode == 0, said
    resumed = [json.loads(path.read_text())["resumed_at"] for path in folder.glob("runs/main/*/record.json")]
    assert any(resumed)
    assert outcomes(folder / "runs" / "main") == outcomes(tmp_path / "whole" / "runs" / "main")
