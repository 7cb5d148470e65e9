"""The end of a process without the interpreter's own: it takes a second to take large libraries apart."""

import atexit
import logging
import os
import sys
from collections.abc import Callable


def exit_at_once() -> Callable[[], None]:
    """To be called before any job, so that what jobs register with atexit is called first.

    Returns what to call when all is well. Without that the process ends as any does, with its own exit code.
    """
    is_done: list[bool] = []

    def leave() -> None:
        if is_done:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    atexit.register(leave)
    return lambda: is_done.append(True)
