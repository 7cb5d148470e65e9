"""The terminal: one console for everything that people read, and durations for people."""

import os
import sys
from functools import cache
from io import TextIOWrapper

from rich.console import Console

# Several workers on one terminal would overwrite each other, so only their parent prints.
_QUIET = "LOCAL_LAUNCHER_SLOT" in os.environ

for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")  # for names that the encoding of the terminal cannot show

# Without this, names such as a:100:b would become emoji.
console = Console(highlight=False, emoji=False, quiet=_QUIET)
errors = Console(stderr=True, highlight=False, emoji=False, quiet=_QUIET)

# What a worker would have printed; its parent prints it when the job has ended.
unsaid: list[str] = []


@cache
def warn(line: str) -> None:
    """One line on stderr, the first time; above a live view, whose stand-in for sys.stderr a second console lacks."""
    if _QUIET:
        unsaid.append(line)
    else:
        print(f"initbench: {line}", file=sys.stderr)


def duration(seconds: float) -> str:
    """`45 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {whole:02} s" if minutes else f"{whole} s"


def about(seconds: float) -> str:
    """An estimate, rounded: `about 40 s`, `about 6 min`, `about 2 h 10 min`, `about 3 d 4 h`."""
    if seconds < 59.5:
        return f"about {max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    if minutes >= 60:
        minutes = 10 * round(minutes / 10)
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if number]
    return f"about {' '.join(parts[:2])}"
