"""scripts/wandb_sync.py with the real `wandb sync`, and a stand-in for the server on this machine."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from wandb_api import KEY, Api

import initbench
from initbench.logger import RunInfo, close, prepare
from initbench.logger.wandb import identity
from initbench.record.lock import lock

MakeRun = Callable[..., RunInfo]
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "wandb_sync.py"
pytestmark = pytest.mark.usefixtures("wandb_alone")


def started(run: RunInfo, *losses: float) -> list[Any]:
    """The loggers of an offline run that has logged these."""
    config = yaml.safe_load((initbench.CONF / "logger" / "wandb.yaml").read_text())
    loggers = prepare({**config, "mode": "offline"})(run)
    for step, loss in enumerate(losses):
        loggers[0].log_metrics({"loss": loss}, step)
    return loggers


def sync(study: Path) -> str:
    command = [sys.executable, str(SCRIPT), str(study)]
    ended = subprocess.run(command, cwd=study, capture_output=True, text=True, timeout=100, check=True)
    return ended.stdout + ended.stderr


def test_each_run_is_uploaded_once_and_when_it_has_ended(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    done, going = make_run("aaaa"), make_run("bbbb")
    study = done.folder.parent
    close(started(done, 3.0, 2.0), 0)
    with Api.serving() as server, lock(going.folder):
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        loggers = started(going, 5.0)
        sync(study)
        assert {key: [row["loss"] for row in rows] for key, rows in server.rows.items()} == {identity(done): [3.0, 2.0]}

        loggers[0].log_metrics({"loss": 4.0}, 1)
        close(loggers, 0)
        assert sync(study) == ""  # ended, but its process has not let go of it
    with Api.serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        sync(study)
        assert {key: [row["loss"] for row in rows] for key, rows in server.rows.items()} == {
            identity(going): [5.0, 4.0]
        }
        assert sync(study) == ""


def test_a_resumed_run_goes_on_in_its_run(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    with Api.serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        first = make_run()
        close(started(first, 3.0), 1)
        sync(first.folder.parent)
        second = make_run(resumed=True)
        close(started(second, 2.0, 1.0), 0)
        sync(first.folder.parent)
        assert identity(first) == identity(second)
        assert {key: [row["loss"] for row in rows] for key, rows in server.rows.items()} == {
            identity(first): [3.0, 2.0, 1.0]
        }
        assert server.exit_codes == {identity(first): 0}


def test_watching_uploads_a_run_when_it_ends(make_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run()
    with Api.serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        with lock(run.folder):
            loggers = started(run, 1.0)
            command = [sys.executable, str(SCRIPT), str(run.folder.parent), "--watch", "0.5"]
            watching = subprocess.Popen(
                command, cwd=run.folder.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            time.sleep(2)
            assert not server.rows
            close(loggers, 0)
        until = time.monotonic() + 60
        while not list(run.folder.glob("wandb/*/*.synced")) and time.monotonic() < until:
            time.sleep(0.1)
        time.sleep(1)  # the next look, which finds nothing
        watching.send_signal(signal.SIGINT)
        said, _ = watching.communicate(timeout=60)
        assert watching.returncode == 0
        assert said.count("Syncing 1 run(s)") == 1
        assert {key: len(rows) for key, rows in server.rows.items()} == {identity(run): 1}


def test_a_study_that_is_not_there_is_said() -> None:
    ended = subprocess.run([sys.executable, str(SCRIPT), "nowhere"], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "there is no folder nowhere" in ended.stderr
