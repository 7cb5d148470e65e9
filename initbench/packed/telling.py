"""The loggers of packed runs, which a process of their own tells from the records, once the runs have ended.

So nobody waits for them: the next pack trains meanwhile, and the verdict is printed. What a killed sweep has not told,
the next command does.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from itertools import groupby
from operator import itemgetter
from queue import SimpleQueue
from tempfile import TemporaryFile

from initbench import logger, streams
from initbench.console import console, errors
from initbench.diagnostics.scalars import for_loggers
from initbench.masking import hide, learn
from initbench.record import untold
from initbench.record.life import Life, log_summary
from initbench.record.plain import PlainConfig, Record
from initbench.record.store import Store, read_table
from initbench.wording import visible
from initbench.workers.exit import exit_at_once

_CLOCKS = ("step", "epoch", "seconds")  # columns of a history that are no metrics
_AT_ONCE = 4  # threads: most of the time they wait for wandb's own process, a database or a server
_PATIENCE_SECONDS = 3.0  # until it is said what the command waits for


class Telling:
    """The side of the sweep: starts the process, hands runs to it, and waits for it at the very end."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._lines: SimpleQueue[bytes] = SimpleQueue()

    def start(self, runs: Iterable[Store]) -> None:
        """Start the process, if any of these runs has loggers: it imports what they need while the runs are trained."""
        loggers = [run.config["logger"] for run in runs if not logger.is_none(run.config["logger"])]
        if self.process is not None or not loggers:
            return
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
        # In a session of its own, Ctrl-C does not reach it: it ends when its standard input does.
        # What it says is shown at the end, below the verdict and not in its midst.
        self._said = TemporaryFile()  # noqa: SIM115 - closed by `finish`
        command = [sys.executable, "-c", code]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self._said, start_new_session=True)
        self._lines.put(_line([sys.argv, sys.orig_argv, loggers[0]]))
        threading.Thread(target=self._send, name="telling", daemon=True).start()
        atexit.register(self.finish)

    def add(self, runs: Iterable[Store]) -> None:
        """Have the loggers of these runs told, if they have not been."""
        marked = [run for run in runs if untold.is_marked(run.folder)]
        self.start(marked)
        for run in marked:
            self._lines.put(_line(run.config))

    def finish(self) -> None:
        """Wait until all is told. Ctrl-C leaves the rest to the next command."""
        if self.process is None:
            return
        atexit.unregister(self.finish)
        self._lines.put(b"")
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            console.print("waiting for the loggers; after Ctrl-C, the same command tells them the rest")
            with suppress(KeyboardInterrupt):
                self.process.wait()
        except KeyboardInterrupt:
            pass
        self.kill()
        with self._said:
            self._said.seek(0)
            sys.stderr.write(self._said.read().decode(errors="replace"))

    def kill(self) -> None:
        """End the process, whatever it is doing: what it has not told is left to the next command."""
        if self.process is not None:
            with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS's word for a group of the dead
                os.killpg(self.process.pid, signal.SIGKILL)  # with wandb's own process
            self.process.wait()

    def _send(self) -> None:
        """Write to the process, which may take its time to read."""
        assert self.process is not None
        assert self.process.stdin is not None
        with suppress(BrokenPipeError), self.process.stdin as pipe:  # dead: its runs are still marked
            for line in iter(self._lines.get, b""):
                pipe.write(line)
                pipe.flush()


def main() -> None:
    """The process: tell the loggers of each run whose config comes as a line of standard input."""
    streams.protect()
    is_done = exit_at_once()
    sys.argv[:], sys.orig_argv[:], first_logger = json.loads(sys.stdin.readline())
    with suppress(Exception):  # the first run says what is wrong
        logger.prepare(first_logger)
        if first_logger["name"] in ("wandb", "mlflow", "trackio"):  # which are imported where a run is opened
            import_module(first_logger["name"])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for place, line in enumerate(sys.stdin):
            if place == 0:  # goes ahead: what it learns about a server the others know
                tell(json.loads(line))
            else:
                pool.submit(tell, json.loads(line))
    is_done()


def tell(config: PlainConfig) -> None:
    """Tell the loggers all of a run at once, from its record. What goes wrong is said, and no more.

    The mark goes first: a run that is cut off in the middle is in its logger in part, rather than twice.
    """
    store = Store(config)
    learn(config)
    try:
        record = store.read()
        if record is not None and untold.take(store.folder):
            _tell(Life(store, record, started=record), record)
    except Exception as error:  # of whatever a logger is made of: the run is trained, and recorded
        line = f"{store.name} is not all in its logger: {type(error).__name__}: {error}"
        errors.print(visible(hide(line)), markup=False, soft_wrap=True)


def _tell(life: Life, record: Record) -> None:
    tables = [read_table(life.store.folder, name) for name in ("history", "layers")]
    history, layers = ([] if table is None else table.to_pylist() for table in tables)
    rows = [(row["step"], {k: v for k, v in row.items() if v is not None and k not in _CLOCKS}) for row in history]
    rows += [(step, for_loggers(some)) for step, some in groupby(layers, key=itemgetter("step"))]
    with life.logged(logger.prepare(life.store.config["logger"]), resumes=False) as loggers:
        for step, values in sorted(rows, key=itemgetter(0)):
            for one in loggers:
                one.log_metrics(values, step)
        log_summary(loggers, record)


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"
