"""How a run ends when a signal asks it to: with a checkpoint, within seconds.

SIGUSR2 is a scheduler's word that the time is up: who handles it (submitit queues the job again) is called once the run
is safe.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

# A step, or an initializer, that takes longer than this is cut off: SLURM and people wait five seconds or so.
GRACE_SECONDS = 3.0
# Two signals within it are one wish: Ctrl-C reaches a worker from the terminal and through its parent.
REPEAT_SECONDS = 1.0


class Stopped(BaseException):
    """A signal asked for the end. Not an Exception: it is no failure of the run, and ends a whole sweep."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


class _Request:
    """The signal that asked, process-wide as signals are."""

    listening = False
    signum: int | None = None
    at = 0.0


def requested() -> bool:
    """Whether the run should save itself and call `stop` as soon as it can."""
    return _Request.signum is not None


def stop() -> NoReturn:
    assert _Request.signum is not None
    raise Stopped(_Request.signum)


def take_back() -> None:
    """Undo what Lightning's Trainer did to SIGTERM: it would raise amid a validation, with nothing saved."""
    if _Request.listening:
        signal.signal(signal.SIGTERM, _on_request)


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside, SIGINT, SIGTERM, and SIGUSR2 if someone handles it, set `requested`; the block ends with Stopped.

    A second signal, REPEAT_SECONDS later, and GRACE_SECONDS without `stop` raise Stopped wherever the program is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python lets nobody else handle signals
        return
    signals = [signal.SIGINT, signal.SIGTERM]
    if callable(signal.getsignal(signal.SIGUSR2)):
        signals.append(signal.SIGUSR2)
    previous: dict[int, Any] = {signum: signal.signal(signum, _on_request) for signum in signals}
    previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, _on_timeout)
    _Request.listening = True
    asked: int | None = None
    try:
        yield
        if requested():
            stop()  # the run ended before it could; what comes after it must not begin
    except Stopped as stopped:
        asked = stopped.signum
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _Request.signum, _Request.listening = None, False
        for signum, handler in previous.items():
            signal.signal(signum, handler)
        if asked == signal.SIGUSR2 and callable(theirs := previous[signal.SIGUSR2]):
            theirs(asked, None)


def _on_request(signum: int, frame: FrameType | None) -> None:
    if requested():
        if time.monotonic() - _Request.at > REPEAT_SECONDS:
            raise Stopped(signum)
        return
    _Request.signum, _Request.at = signum, time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS)


def _on_timeout(signum: int, frame: FrameType | None) -> None:
    if requested():
        stop()
