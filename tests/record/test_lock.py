"""One process at a time on a run, and a dead one does not count."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from initbench.record.lock import is_held, lock

HOLD = """
import sys, time
from pathlib import Path
from initbench.record.lock import lock
with lock(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that holds the lock of `run`."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        yield process
        process.kill()


def test_a_run_is_held_by_one_process_and_others_are_told(other, tmp_path: Path) -> None:
    assert is_held(tmp_path / "run")
    assert not is_held(tmp_path / "another")
    with lock(tmp_path / "run", patience=0.2) as mine:
        assert not mine


def test_a_killed_process_holds_nothing(other, tmp_path: Path) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert not is_held(tmp_path / "run")
    with lock(tmp_path / "run") as mine:
        assert mine
        assert is_held(tmp_path / "run")


def test_a_process_that_is_about_to_end_is_waited_for(other, tmp_path: Path) -> None:
    started = time.monotonic()
    subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {other.pid}"]).wait()
    with lock(tmp_path / "run") as mine:
        assert mine
    assert time.monotonic() - started > 0.4


def test_looking_makes_no_file(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
