"""Command lines other than Hydra's, on which every mistake of the user is one line."""

import argparse
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from initbench import interrupt, streams
from initbench.masking import hide
from initbench.wording import visible


class Parser(argparse.ArgumentParser):
    """argparse whose errors are ValueErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise ValueError with the message."""
        raise ValueError(f"{message}; `{self.prog} --help` lists the options")


def typed_path(text: str) -> Path:
    """The type of an argument that is a path: `~` is the user's home, and nothing is not the working directory."""
    if not text.strip():
        raise argparse.ArgumentTypeError("a path is empty")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # nobody knows whose home
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error


def run(main: Callable[[list[str]], None]) -> None:
    """Call `main` with the arguments that were typed; what is wrong with them, or with a file, is one line and code 2.

    A reader who leaves, as `| head -1` does, is no error. Output that finds no room is one: code 1.
    """
    streams.protect()
    interrupt.end_guard()
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("initbench: stopped", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except (ValueError, OSError) as error:
        print(f"initbench: {visible(hide(' '.join(str(error).split())))}", file=sys.stderr)
        sys.exit(2)
    except Exception:  # a crash: Python's own traceback would show secrets
        end_with_traceback()
    if not_written():
        sys.exit(1)


def end_with_traceback() -> NoReturn:
    """Print the traceback of the exception that is being handled, without secrets, and exit with code 1."""
    for line in hide(traceback.format_exc()).splitlines():
        print(visible(line), file=sys.stderr)
    sys.exit(1)


def not_written() -> bool:
    """Whether standard output could not be written for another reason than that its reader has left; then say so."""
    error = streams.lost()
    if error is None or isinstance(error, BrokenPipeError):
        return False
    print(f"initbench: standard output cannot be written: {error.strerror}", file=sys.stderr)
    return True
