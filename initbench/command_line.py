"""Command lines other than Hydra's, on which every mistake of the user is one line."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn


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
    """Call `main` with the arguments that were typed; a ValueError or OSError ends with one line and exit code 2."""
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # as from `| head`; Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        print(f"initbench: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
