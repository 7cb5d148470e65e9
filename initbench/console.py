"""The terminal: one console for everything that people read."""

import os
import sys
from functools import cache

from rich.console import Console

from initbench.masking import hide
from initbench.wording import visible

# Several workers on one terminal would overwrite each other, so only their parent prints.
_QUIET = "LOCAL_LAUNCHER_SLOT" in os.environ


def _console(*, stderr: bool = False) -> Console:
    """A console that redraws only what is a terminal, whatever FORCE_COLOR, TTY_COMPATIBLE or a notebook say.

    FORCE_COLOR gives colours to a file, such as the log of a CI; progress bars in it would be garbage. The shell of a
    notebook (`!python -m initbench`) has a terminal, but shows what is written to it without its cursor.
    """
    stream = sys.stderr if stderr else sys.stdout
    is_terminal = stream is not None and stream.isatty() and "JPY_PARENT_PID" not in os.environ
    return Console(
        stderr=stderr,
        force_terminal=is_terminal,
        force_interactive=None if is_terminal else False,
        force_jupyter=False,
        color_system="standard" if os.environ.get("FORCE_COLOR") and not is_terminal else "auto",
        highlight=False,
        emoji=False,  # or names such as a:100:b would become emoji
        quiet=_QUIET,
    )


console = _console()
errors = _console(stderr=True)

# What a worker would have printed; its parent prints it when the job has ended.
unsaid: list[str] = []


@cache
def warn(line: str) -> None:
    """One line on stderr, the first time; above a live view, whose stand-in for sys.stderr a second console lacks."""
    if _QUIET:
        unsaid.append(line)
    else:
        print(f"initbench: {visible(hide(line))}", file=sys.stderr)
