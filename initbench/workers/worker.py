"""A process of the pool: runs the jobs that come through a pipe, one after another, until the pipe ends.

A message is a function and its argument, or None and the config of a job of Hydra.

The end of the pipe after an empty message means that there is no more to do; without one, that the parent wants
everything stopped, or is dead. So nothing outlives the parent, and one signal reaches a job, however the parent ends.
"""

import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from queue import SimpleQueue

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals

from initbench import console, streams
from initbench.workers.exit import exit_at_once

NO_MORE = b""


def main(jobs_fd: int, results_fd: int, stop_seconds: float) -> None:
    """Run jobs in the main thread: it is where Python delivers the signals that they may want to handle."""
    streams.protect()
    is_done = exit_at_once()
    jobs, results = Connection(jobs_fd, writable=False), Connection(results_fd, readable=False)
    # Open to the very last: the parent shall see this process gone, and not its interpreter winding up.
    last = os.dup(results_fd)
    for fd in (jobs_fd, results_fd):
        os.set_inheritable(fd, False)
    # Nor shall what a job forks hold them open. Closed once: in a child of a child the number may be another file's.
    ends: list[Callable[[], None]] = [jobs.close, results.close, partial(os.close, last)]
    os.register_at_fork(after_in_child=lambda: [ends.pop()() for _ in list(ends)])
    messages: SimpleQueue[bytes] = SimpleQueue()
    stopping = threading.Event()
    threading.Thread(target=_listen, args=(jobs, messages, stopping, stop_seconds), daemon=True).start()
    run = _prepare(messages.get())
    for message in iter(messages.get, NO_MORE):
        try:
            work, argument = pickle.loads(message)
            reply = _pack(run(config=argument) if work is None else work(argument))
        except (SystemExit, Exception) as error:  # Exception: of Hydra's own work around the job, its folder say
            reply = _pack(JobReturn(status=JobStatus.FAILED, _return_value=error))
        except BaseException:  # KeyboardInterrupt, or a class of the job's own
            # No failure of the job, says its type, but the end of this process.
            if stopping.is_set():
                sys.exit(128 + signal.SIGTERM)
            raise
        with suppress(BrokenPipeError):  # nobody is left to be told
            results.send_bytes(reply)
    is_done()


def _listen(jobs: Connection, messages: "SimpleQueue[bytes]", stopping: threading.Event, stop_seconds: float) -> None:
    message = None
    with suppress(EOFError, OSError):  # OSError: in the middle of a message
        while True:
            message = jobs.recv_bytes()
            messages.put(message)
    if message != NO_MORE:
        stopping.set()
        messages.put(NO_MORE)  # for a job that takes the signal and returns
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            stop_seconds = 0  # it would end this process alone, and leave what the job has started
        else:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(stop_seconds)
    os.killpg(os.getpid(), signal.SIGKILL)


def _prepare(setup: bytes) -> Callable[..., JobReturn]:
    """Make this process look like the parent to a job; return `run_job`, which lacks only a config."""
    sys.argv, sys.orig_argv, preload, state, hydra_context, task_function = pickle.loads(setup)
    setup_globals()
    for module in preload:  # while the parent composes the first jobs
        with suppress(Exception):  # the job that needs it says what is wrong
            import_module(module)
    Singleton.set_state(state)
    return partial(
        run_job,
        task_function=task_function,
        hydra_context=hydra_context,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _pack(result: JobReturn) -> bytes:
    """Pickle what came of a job; a value that cannot be pickled is a failure that says so."""
    result.unsaid, console.unsaid[:] = list(console.unsaid), []  # type: ignore[attr-defined]  # it has no place for it
    result.cfg = result.hydra_cfg = None  # large, and the parent can compose them again
    if result.status is JobStatus.FAILED:
        result.return_value = _portable(result._return_value)
    try:
        return cloudpickle.dumps(result)
    except Exception as error:  # a class may raise anything here
        result.status = JobStatus.FAILED
        result.return_value = RuntimeError(f"what the job returned cannot be pickled: {error}")
        return cloudpickle.dumps(result)


def _portable(error: Exception | SystemExit) -> Exception:
    """The error, or one in its place that survives pickling, with a note of where it was raised: tracebacks do not."""
    note = "In the worker:\n" + "".join(traceback.format_exception(error))
    if isinstance(error, SystemExit):
        # A sweeper would raise it again and so end the whole program, without a word.
        error = RuntimeError(f"the job called sys.exit({error.code!r})")
    try:
        pickle.loads(cloudpickle.dumps(error))  # loading fails for many that have arguments of their own
    except Exception as reason:  # pickling calls the class's own code
        text = "".join(traceback.format_exception_only(error)).strip()
        error = RuntimeError(f"{text} (cannot be pickled: {reason})")
    error.add_note(note)
    return error
