"""The command lines beside Hydra's: what is wrong with one, or with its terminal, is one line."""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """argparse, with our words for what it refuses."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; `{self.prog} --help` says what there is")


def run(main: Callable[[list[str]], None]) -> None:
    """`main` with the arguments that were typed; exit code 2 for what cannot be."""
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # of `| head`, which has seen enough; Python would complain at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        print(f"initbench: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
