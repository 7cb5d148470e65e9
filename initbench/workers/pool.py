"""Worker processes, one a slot, and who of them does which job."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Self

from initbench.workers.sigterm import raising_on_sigterm
from initbench.workers.worker import NO_MORE


@dataclass
class Worker:
    slot: int
    process: subprocess.Popen[bytes]
    jobs: Connection
    results: Connection
    job: int | None = None

    def send(self, message: bytes) -> None:
        with suppress(BrokenPipeError):  # it is dead, as the end of `results` will say
            self.jobs.send_bytes(message)

    def receive(self) -> bytes | None:
        """Its next reply, None if it is dead."""
        try:
            return self.results.recv_bytes()
        except (EOFError, OSError):  # OSError: in the middle of a message
            return None

    def bury(self) -> int:
        """Kill it and what its jobs have started, if anything of that is still alive; return its exit code."""
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS's word for a group of the dead
            os.killpg(self.process.pid, signal.SIGKILL)
        self.jobs.close()
        self.results.close()
        return self.process.wait()


class Pool:
    """Workers start when a job has no other place to go, and stay until `close`.

    `environments`: what each slot's process has beyond our environment; `setup`: the first message to each.
    """

    def __init__(self, environments: Sequence[Mapping[str, str]], setup: bytes, stop_seconds: float) -> None:
        self.environments = environments
        self.setup = setup
        self.stop_seconds = stop_seconds
        self.workers: dict[int, Worker] = {}

    def start(self) -> None:
        """Start all workers: they import what they will need until there are jobs."""
        for slot in range(len(self.environments)):
            if slot not in self.workers:
                self._start(slot)

    def run(self, jobs: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes | int]]:
        """Yield each job's number and reply as it ends: an exit code where its process died.

        One job is taken in advance, so that it is ready for whoever becomes free. `jobs` that have none may have more
        when the next reply has been read.
        """
        following = None
        ended: list[tuple[int, bytes | int]] = []
        while True:
            yield from ended
            following = following or next(jobs, None)
            while following and (worker := self._free_worker()):
                worker.job, message = following
                worker.send(message)
                following = next(jobs, None)
            busy = [worker for worker in self.workers.values() if worker.job is not None]
            if not busy:
                return
            ready = wait([worker.results for worker in busy])
            ended = [self._finish(worker) for worker in busy if worker.results in ready]

    @contextmanager
    def at_work(self) -> Iterator[Self]:
        """Whatever ends a sweep inside, Ctrl-C and SIGTERM above all, ends the workers."""
        with raising_on_sigterm():
            try:
                yield self
            except BaseException:  # Ctrl-C too
                self.close(interrupt=True)
                raise

    def close(self, interrupt: bool = False) -> None:
        """End the workers: after their last job, or with `interrupt` at once, by a signal to the job; or else kill."""
        workers, self.workers = list(self.workers.values()), {}
        try:
            for worker in workers:
                if not interrupt:
                    worker.send(NO_MORE)
                worker.jobs.close()
            deadline = time.monotonic() + self.stop_seconds
            alive = workers
            while alive and (seconds := deadline - time.monotonic()) > 0:
                ready = wait([worker.results for worker in alive], seconds)
                # What a job still returns comes too late.
                alive = [worker for worker in alive if worker.results not in ready or worker.receive() is not None]
        finally:  # also on a second Ctrl-C
            for worker in workers:
                worker.bury()

    def _free_worker(self) -> Worker | None:
        for worker in list(self.workers.values()):
            if worker.job is None and not worker.results.poll():
                return worker
            if worker.job is None:
                self._bury(worker)  # it has nothing to say but its end
        empty = [slot for slot in range(len(self.environments)) if slot not in self.workers]
        return self._start(empty[0]) if empty else None

    def _start(self, slot: int) -> Worker:
        (their_jobs, jobs), (results, their_results) = Pipe(duplex=False), Pipe(duplex=False)
        fds = (their_jobs.fileno(), their_results.fileno())
        arguments = f"{fds[0]}, {fds[1]}, {self.stop_seconds}"
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__package__} import worker; worker.main({arguments})"
        with their_jobs, their_results:
            # In a session of its own Ctrl-C does not reach it, and what its jobs start can be killed with it.
            process = subprocess.Popen(
                [sys.executable, "-c", code],
                env={**os.environ, **self.environments[slot], "LOCAL_LAUNCHER_SLOT": str(slot)},
                stdin=subprocess.DEVNULL,
                pass_fds=fds,
                start_new_session=True,
            )
        self.workers[slot] = worker = Worker(slot, process, jobs, results)
        worker.send(self.setup)
        return worker

    def _finish(self, worker: Worker) -> tuple[int, bytes | int]:
        number, worker.job = worker.job, None
        assert number is not None
        reply = worker.receive()
        return number, self._bury(worker) if reply is None else reply

    def _bury(self, worker: Worker) -> int:
        del self.workers[worker.slot]
        return worker.bury()
