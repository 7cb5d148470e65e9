"""The live view of a sweep: its lines where there is no terminal, and what it leaves of one where there is."""

import os
import platform
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from records import folder_name, write, write_plan
from rich.console import Console

from initbench.record.lock import lock
from initbench.status import live
from initbench.status.live import Live

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm", "PYTHONUNBUFFERED": "1"}
FAST = ["logger=none", "model=mlp", "trainer.max_steps=4", "data.val_every_n_steps=2", "trainer.accelerator=cpu"]
CURSOR_OFF, CURSOR_ON = b"\x1b[?25l", b"\x1b[?25h"


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What was printed since the last call, to standard output and error."""
    file = StringIO()
    for name in ("console", "errors"):
        monkeypatch.setattr(live, name, Console(file=file, width=80, highlight=False))

    def lines() -> list[str]:
        found = file.getvalue().splitlines()
        file.seek(0)
        file.truncate()
        return found

    return lines


def test_each_run_that_ends_is_one_line(tmp_path: Path, printed: Callable[[], list[str]]) -> None:
    write(tmp_path, "before", reason=None)
    write_plan(tmp_path, folder_name("of another sweep"), sweep="another")
    view = Live(tmp_path)
    view.look()
    assert printed() == []
    write_plan(tmp_path, *(folder_name("zeros", seed) for seed in range(4)))
    write(tmp_path, "zeros", 0)
    view.look()
    assert printed() == ["[1/4] lenet-mnist-zeros-seed0  finished  10 s"]
    write(tmp_path, "zeros", 1, "diverged", reason="training loss nan by step 7", results={"test/accuracy": 0.25})
    write(tmp_path, "zeros", 2, "failed", reason="KeyError: '[a]'\nmore")
    view.look()
    assert printed() == [
        "[2/4] lenet-mnist-zeros-seed1  diverged  test accuracy 0.2500  10 s  training loss nan by step 7",
        "[3/4] lenet-mnist-zeros-seed2  failed  KeyError: '[a]'",
    ]
    assert not view.all_over.is_set()
    with lock(write(tmp_path, "zeros", 2, "running", attempt=2)):
        view.look()
    write(tmp_path, "zeros", 2, "failed", attempt=2, reason="again")
    write(tmp_path, "zeros", 3)
    view.look()
    assert printed() == [
        "[3/4] lenet-mnist-zeros-seed2  failed  again",
        "[4/4] lenet-mnist-zeros-seed3  finished  10 s",
    ]
    assert view.all_over.is_set()


def test_what_the_end_needs_is_imported_while_runs_are_running(
    tmp_path: Path, printed: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needed_at_the_end.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    view = Live(tmp_path / "study", preload="needed_at_the_end")
    write(tmp_path / "study", "zeros", 0)
    view.look()
    assert "needed_at_the_end" not in sys.modules
    with lock(write(tmp_path / "study", "zeros", 1, "running")):
        view.look()
    assert "needed_at_the_end" in sys.modules
    del sys.modules["needed_at_the_end"]


def test_without_a_terminal_it_speaks_soon_and_then_regularly(
    tmp_path: Path, printed: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = SimpleNamespace(monotonic=lambda: clock[0], time=time.time)
    clock = [100.0]
    monkeypatch.setattr(live, "time", now)
    view = Live(tmp_path)

    def after(seconds: float) -> list[str]:
        clock[0] += seconds
        view.look()
        return printed()

    assert after(1) == []
    assert after(5) == ["no run has started"]
    write_plan(tmp_path, folder_name("zeros"), folder_name("zeros", 1))
    assert after(20) == []
    assert after(11) == ["0 of 2 runs done, nothing is running yet; 2 runs waiting"]
    with lock(write(tmp_path, "zeros", 0, "running")):
        line = "0 of 2 runs done, time left not known yet; 2 runs: 1 running, 1 waiting"
        assert after(31) == [line]
        assert after(31) == []  # there is nothing new
        assert after(300) == [line]


def test_a_death_is_told_once(tmp_path: Path, printed: Callable[[], list[str]]) -> None:
    view = Live(tmp_path)
    with lock(write(tmp_path, "zeros", status="running")):
        view.look()
    assert printed() == []
    view.look()
    view.look()
    assert printed() == ["[0] lenet-mnist-zeros-seed0  interrupted  its process died"]
    write(
        tmp_path, "zeros", status="failed", reason="its process died: killed, or out of memory"
    )  # as a sweep's end has it
    view.look()
    assert printed() == []
    write(tmp_path, "zeros", status="finished", resumed_at=["2026-03-04T11:00:00+00:00"])  # or it was queued again
    view.look()
    assert printed() == ["[1] lenet-mnist-zeros-seed0  finished  10 s"]


def test_it_goes_on_after_an_error_and_stops_at_once(
    tmp_path: Path, printed: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Live):
        looks = 0

        def look(self) -> None:
            self.looks += 1
            if self.looks == 1:
                raise OSError("stale file handle")
            monkeypatch.setattr(live, "INTERVAL_SECONDS", 600.0)  # the pause that follows
            monkeypatch.setattr(live, "_LONGEST_PAUSE", 600.0)
            super().look()

    live_view = Failing(tmp_path)
    write(tmp_path)
    live_view.start()
    deadline = time.monotonic() + 60
    while live_view.looks < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    live_view.stop()
    live_view.stop()
    assert not live_view._thread.is_alive()
    assert printed() == ["[1] lenet-mnist-orthogonal-seed0  finished  10 s"]


@pytest.mark.parametrize("target, views", [("basic_launcher.BasicLauncher", 0), ("local_launcher.LocalLauncher", 1)])
def test_runs_in_this_process_speak_for_themselves(tmp_path: Path, target: str, views: int) -> None:
    module = "hydra._internal.core_plugins" if not views else "hydra_plugins.local_launcher"
    config: Any = SimpleNamespace(
        hydra=SimpleNamespace(launcher=SimpleNamespace(_target_=f"{module}.{target}")), runs_dir=str(tmp_path), study=7
    )
    live.start(config)
    assert len(live._views) == views
    live.stop()
    assert live._views == []


class Terminal:
    """A program in a terminal of 80 columns and 24 lines, from its start to its end."""

    def __init__(self, folder: Path, code: str) -> None:
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**ENVIRONMENT, "COLUMNS": "80", "LINES": "24"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._ours = ours
        self.shown = b""

    def read(self, until: bytes = b"", seconds: float = 120) -> None:
        """Up to the first `until`; without it, to the end."""
        deadline = time.monotonic() + seconds
        while not until or until not in self.shown:
            if not select.select([self._ours], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError(self.shown.decode(errors="replace"))
            try:
                self.shown += os.read(self._ours, 65536)
            except OSError:  # how Linux says that nobody is on the other side any more
                break
        if not until:
            os.close(self._ours)
            self.process.wait()

    @property
    def is_clean(self) -> bool:
        """The cursor is back, after the view was wiped line by line."""
        last = self.shown.rindex(CURSOR_ON)
        return last > self.shown.rindex(CURSOR_OFF) and self.shown[last:].count(b"\x1b[1A\x1b[2K") > 3


def test_a_terminal_shows_real_runs_and_is_left_clean(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "from pathlib import Path\n"
        "from initbench.status.live import Live\n"
        "view = Live(Path('runs/main'))\n"
        "view.start()\n"
        f"command = [sys.executable, '-m', 'initbench', '-m', *{FAST!r}, 'init=sparse', 'init.sparsity=0.5,7']\n"
        "subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "view.stop()\n"
        "print('the end')\n"
    )
    terminal = Terminal(tmp_path, code)
    terminal.read()
    assert terminal.process.returncode == 0
    assert terminal.is_clean
    text = terminal.shown.decode()
    assert "sparsity must lie in [0, 1), got 7" in text
    assert "mlp on mnist_mini, adam lr 0.002, 4 steps" in text
    assert text.rstrip().endswith("the end")
    assert "finished  test accuracy" not in text  # the table says so


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_leaves_the_terminal_clean(tmp_path: Path, signum: int) -> None:
    write(tmp_path / "runs", "zeros")
    code = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from initbench.status.live import Live\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "Live(Path('runs')).start()\n"
        "time.sleep(600)\n"
    )
    terminal = Terminal(tmp_path, code)
    terminal.read(until=b"1 run finished")
    terminal.process.send_signal(signum)
    terminal.read()
    assert terminal.is_clean
    assert terminal.process.returncode in (-signal.SIGINT, 143)


def test_what_others_print_stands_above_the_view(tmp_path: Path) -> None:
    write(tmp_path / "runs", "zeros")
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from initbench.status.live import Live\n"
        "view = Live(Path('runs'))\n"
        "view.start()\n"
        "time.sleep(2.5)\n"
        "print('from the launcher')\n"
        "print('a warning', file=sys.stderr)\n"
        "time.sleep(1.5)\n"
        "view.stop()\n"
    )
    terminal = Terminal(tmp_path, code)
    terminal.read()
    for words in (b"from the launcher", b"a warning"):
        before = terminal.shown[: terminal.shown.index(words)]
        assert before.endswith(b"\x1b[2K")  # the view was wiped first
    assert terminal.is_clean


def test_nobody_waits_for_further_rounds_of_a_race_whose_process_has_ended(tmp_path: Path) -> None:
    write(tmp_path, "zeros")
    race = {"workload": "", "seeds": 5, "most_seeds": 30, "inside": [], "out": {}, "best": None, "leads": {}}
    race |= {"saved": 0, "is_over": False}
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid, is_over in ((os.getpid(), False), (ended.pid, True)):
        write_plan(tmp_path, folder_name("zeros"), race=[race], pid=pid, host=platform.node())
        view = Live(tmp_path, ours=False)
        view.look()
        assert view.all_over.is_set() is is_over
