"""The terminal: one console for everything that people read, and how messages write numbers, durations and names."""

import os
import sys
import unicodedata
from functools import cache

from rich.console import Console

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
        print(f"initbench: {visible(line)}", file=sys.stderr)


def visible(text: str) -> str:
    r"""The text in one line, in which control characters are seen and not obeyed: `\x1b[31m`, `\n`, `\u202e`.

    Names and the messages of exceptions come from files, servers and other people's code, and may hold anything.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def _seen(character: str) -> str:
    # Other spaces, and the joiners of emoji and of Indian and Persian words, are as harmless as letters.
    if character.isprintable() or unicodedata.category(character) == "Zs" or character in "\u200c\u200d":
        return character
    return character.encode("unicode_escape").decode()


def count(number: int, noun: str, plural: str = "") -> str:
    """ "1 run", "3 runs"; `plural` where that is not the noun with an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


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
