"""The progress of a sweep in the process that started it: a live view in a terminal, otherwise a line per ended run.

A thread of its own reads the records, so it does not matter what trains the runs, or where.
"""

import atexit
import sys
import threading
import time
from collections import deque
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live as Display
from rich.markup import escape

from initbench.console import console, errors
from initbench.record.store import COMPLETE
from initbench.status.facts import RunFacts
from initbench.status.line import line
from initbench.status.study import Study
from initbench.status.summary import WAITING, Summary, summarize
from initbench.status.view import glance, sentences

if TYPE_CHECKING:
    from omegaconf import DictConfig  # slow to import, and `python -m initbench.status` does not need it

# These launchers train in this process, where each run has a progress bar and prints its own lines.
_IN_PROCESS = ("hydra._internal.core_plugins.basic_launcher.BasicLauncher",)
INTERVAL_SECONDS = 1.0
# The longest silences without a live view: at first, and later on. All runs of a pack end at once.
FIRST_SECONDS, QUIET_SECONDS = 5.0, 30.0
_SAME_SECONDS = 300.0  # the longest silence if there is nothing new to say, as in the queue of a cluster
_MOST_OF_TIME = 0.05  # of one core; a study with very many runs is read less often
_LONGEST_PAUSE = 10.0


class Live:
    """The view owns the last lines of the terminal from `start` to `stop`; other output appears above them.

    ours: a sweep starts here and now, so runs that ended before and the plan of an earlier sweep are ignored.
    preload: a module that is imported while runs are running, because the end of the sweep will need it.
    Errors never reach the sweep: a look that fails shows nothing.
    """

    def __init__(self, folder: Path, *, ours: bool = True, preload: str = "") -> None:
        self.all_over = threading.Event()  # all planned runs have ended
        self._study = Study(folder)
        self._preload = preload
        self._before = {name: written for name, (written, _) in self._study.stamps().items()}
        self._plan_before = self._study.plan() if ours else None
        self._told: dict[str, Hashable] = {}  # for each run, `begun` of the attempt whose end was reported
        self._at_once: deque[int] = deque([0], maxlen=10)  # the latest numbers of running runs; short runs leave gaps
        self._display = Display(
            console=console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            redirect_stderr=sys.stderr.isatty(),  # a file does not disturb the view
        )
        self._speak_at = time.monotonic() + FIRST_SECONDS
        self._said = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="live view", daemon=True)

    def start(self) -> None:
        """Show the view in a terminal, and start looking."""
        if console.is_interactive:
            self._display.start()
        atexit.register(self.stop)  # however the sweep ends, the terminal gets its cursor back
        self._thread.start()

    def stop(self) -> None:
        """Report what ended since the last look, and leave the terminal as it was."""
        if not self._stopping.is_set():
            self._stopping.set()
            self._thread.join(timeout=2)  # it may hang if the file system does
            with suppress(Exception):  # a failing file system must not stop the sweep
                self.look()
            self._display.stop()
            atexit.unregister(self.stop)

    def look(self) -> None:
        """Read what has changed, and show it."""
        snapshot = self._study.read()
        if snapshot.plan and self._plan_before and snapshot.plan.sweep == self._plan_before.sweep:
            snapshot = replace(snapshot, plan=None)
        now = time.time()
        summary = summarize(snapshot, now, max(self._at_once))
        self._at_once.append(len(summary.running))
        if summary.running and self._preload:
            import_module(self._preload)
        self._tell(summary, snapshot.plan.runs if snapshot.plan else frozenset())
        if self._display.is_started:
            self._display.update(glance(summary, now, console), refresh=True)
        else:
            self._break_silence("; ".join(line.plain for line in sentences(summary)))
        no_more_rounds = all(race.is_over for race in summary.races) or (snapshot.plan and snapshot.plan.abandoned)
        if summary.planned == summary.over and no_more_rounds:
            self.all_over.set()

    def _keep_looking(self) -> None:
        pause = INTERVAL_SECONDS
        while not self._stopping.wait(pause):
            began = time.thread_time()
            with suppress(Exception):  # the next look may succeed
                self.look()
            cost = time.thread_time() - began
            pause = min(max(INTERVAL_SECONDS, cost / _MOST_OF_TIME), _LONGEST_PAUSE)

    def _tell(self, summary: Summary, planned: frozenset[str]) -> None:
        """Print a line for each run that ended; above a live view, only for those that went wrong."""
        ended = sorted((run for run in summary.runs if self._is_news(run)), key=lambda run: run.written)
        # Runs of the previous plan whose end was not seen are not counted in this one.
        of_plan = [run for run in ended if not planned or run.folder in planned]
        counted = {run.folder for run in of_plan if run.status != "interrupted"}
        number = summary.over - len(counted)
        for run in ended:
            self._told[run.folder] = run.begun
            number += run.folder in counted
            of = f"/{summary.planned}" if summary.planned else ""
            wrong = run.status not in COMPLETE
            if wrong or not self._display.is_started:
                # A second rich console on the same terminal does not know about the view and would break it.
                to = errors if wrong and not (self._display.is_started and errors.is_terminal) else console
                self._say(to, f"{escape(f'[{number}{of}]')} {line(run)}")

    def _break_silence(self, text: str) -> None:
        quiet = _SAME_SECONDS - QUIET_SECONDS if text == self._said else 0.0
        if time.monotonic() > self._speak_at + quiet:
            self._said = text
            self._say(console, escape(text))

    def _say(self, to: Console, text: str) -> None:
        to.print(text, soft_wrap=True)
        self._speak_at = time.monotonic() + QUIET_SECONDS

    def _is_news(self, run: RunFacts) -> bool:
        if run.status in ("running", WAITING) or self._told.get(run.folder) == run.begun:
            return False
        return self._before.get(run.folder) != run.written


# Not an attribute of Hydra's callback: launchers pickle that together with the jobs, and threads cannot be pickled.
_views: list[Live] = []


def start(config: "DictConfig", preload: str = "") -> None:
    """Show the sweep of this config, composed by Hydra, if its runs are in other processes; preload: see `Live`."""
    if config.hydra.launcher._target_ not in _IN_PROCESS:
        _views.append(Live(Path(config.runs_dir) / str(config.study), preload=preload))
        _views[-1].start()


def stop() -> None:
    """End the view, if there is one."""
    while _views:
        _views.pop().stop()
