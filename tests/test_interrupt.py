"""Ctrl-C while a program imports its libraries."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# Python imports it at its start: Ctrl-C comes as a library is looked for.
SITE = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ.get("INTERRUPTED_AT"):
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""
SCRIPT = "import sys\nfrom initbench.__main__ import entry\nsys.exit(entry())\n"


def interrupted(folder: Path, at: str, *typed: str, **keys: object) -> subprocess.CompletedProcess[str]:
    (folder / "sitecustomize.py").write_text(SITE)
    (folder / "initbench").write_text(SCRIPT)  # as pip makes it
    path = os.pathsep.join([str(folder), str(Path(__file__).parents[1])])
    environment = {**os.environ, "INTERRUPTED_AT": at, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *typed],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        **keys,  # type: ignore[call-overload]  # subprocess's own
    )


@pytest.mark.parametrize(
    "typed, at",
    [
        (["-m", "initbench"], "hydra"),
        (["-m", "initbench"], "initbench.record.stopping"),
        (["initbench"], "hydra"),
        (["initbench"], "omegaconf.errors"),
        (["-m", "initbench.init"], "torch"),
        (["-m", "initbench.init"], "initbench.init.listing"),
        (["-m", "initbench.report", "s"], "initbench.table_file"),
        (["-m", "initbench.report", "s"], "pandas"),
        (["-m", "initbench.status", "s"], "rich.table"),
    ],
)
def test_it_is_one_line_and_the_signal_is_seen(typed: list[str], at: str, tmp_path: Path) -> None:
    done = interrupted(tmp_path, at, *typed)
    assert done.stderr == "initbench: stopped\n"
    assert done.returncode in (-signal.SIGINT, 128 + signal.SIGINT)


def test_a_run_that_has_not_begun_says_how_to_go_on(tmp_path: Path) -> None:
    done = interrupted(tmp_path, "lightning", "-m", "initbench", "logger=none")
    assert (done.returncode, done.stderr) == (130, "initbench: stopped; type the same command again to continue\n")


def test_a_program_that_only_imports_the_package_gets_its_keyboard_interrupt(tmp_path: Path) -> None:
    done = interrupted(tmp_path, "torch", "-c", "import initbench; initbench.initialize")
    assert "KeyboardInterrupt" in done.stderr


def test_nohup_is_respected(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    done = interrupted(tmp_path, "torch", "-m", "initbench.init", preexec_fn=ignore)
    assert done.returncode == 0
