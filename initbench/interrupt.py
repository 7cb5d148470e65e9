"""Ctrl-C while a program of ours imports its libraries, which takes seconds: one line instead of a traceback."""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

_LINE = b"initbench: stopped\n"


def guard_imports() -> None:
    """Ctrl-C ends the process at once until `end_guard`, if this process is `python -m initbench...` or `initbench`.

    A handler, as a KeyboardInterrupt amid an import comes out of some libraries as an ImportError. For other programs,
    which only import the package, nothing changes; nor where Ctrl-C is ignored, as behind `nohup`.
    """
    # Python has "-m" there while it looks for the module to run, and only then.
    is_ours = sys.argv[:1] == ["-m"] or Path(*sys.argv[:1]).name == "initbench"
    if is_ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def end_guard() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _stop(signum: int, frame: FrameType | None) -> None:
    with suppress(OSError):  # nobody may be there to read it
        os.write(2, _LINE)
    # The shell is to see that the signal ended it, and end a loop around it too.
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
