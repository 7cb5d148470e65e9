"""Ctrl-C while a program of ours imports its libraries, which takes seconds, prints one line and no traceback."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

_LINE = b"initbench: stopped\n"


def guard_imports() -> None:
    """Until `end_guard`, Ctrl-C ends this process at once if it is `python -m initbench...` or `initbench`.

    A handler, as a KeyboardInterrupt amid an import comes out of some libraries as an ImportError. For other programs,
    which only import the package, nothing changes; nor where Ctrl-C is ignored, as behind `nohup`.
    """
    # Python has "-m" there while it looks for the module to run, and only then.
    is_ours = sys.argv[:1] == ["-m"] or Path(*sys.argv[:1]).name == "initbench"
    if is_ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def end_guard() -> None:
    """From now on, Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _stop(signum: int, frame: FrameType | None) -> None:
    with suppress(OSError):  # nobody may be there to read it
        os.write(2, _LINE)
    # The shell must see that the signal ended it, so that it also ends a loop around it.
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
