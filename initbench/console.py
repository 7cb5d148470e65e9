"""The terminal: one console for everything that people read."""

import os
import sys
from functools import cache
from typing import TextIO

from rich.console import Console

from initbench.masking import hide
from initbench.wording import visible

# Several workers on one terminal would overwrite each other, so only their parent prints.
_QUIET = "LOCAL_LAUNCHER_SLOT" in os.environ


# In the kernel of a notebook, and in the commands that its cells run (`!python -m initbench`). These have a terminal,
# but a cell keeps every frame of an animation.
_IN_NOTEBOOK = "JPY_PARENT_PID" in os.environ or "matplotlib_inline" in os.environ.get("MPLBACKEND", "")


def terminal(file: TextIO | None = None, *, stderr: bool = False, quiet: bool = False) -> Console:
    """A console that draws animations only in a terminal, whatever FORCE_COLOR, TTY_COMPATIBLE or a notebook say.

    FORCE_COLOR colours the text in a file, such as the log of a CI system; progress bars would be unreadable there.
    """
    stream = file or (sys.stderr if stderr else sys.stdout)
    is_terminal = stream is not None and stream.isatty() and not _IN_NOTEBOOK
    has_colors = bool(os.environ.get("FORCE_COLOR")) and not is_terminal and not _IN_NOTEBOOK
    return Console(
        file=file,
        stderr=stderr,
        force_terminal=is_terminal,
        force_interactive=None if is_terminal else False,
        force_jupyter=False,
        color_system="standard" if has_colors else "auto",
        highlight=False,
        emoji=False,  # or names such as a:100:b would become emoji
        quiet=quiet,
    )


console = terminal(quiet=_QUIET)
errors = terminal(stderr=True, quiet=_QUIET)

# What a worker would have printed; its parent prints it when the job has ended.
unsaid: list[str] = []


@cache
def warn(line: str) -> None:
    """One line on stderr, the first time; above a live view, whose stand-in for sys.stderr a second console lacks."""
    if _QUIET:
        unsaid.append(line)
    else:
        print(f"initbench: {visible(hide(line))}", file=sys.stderr)
