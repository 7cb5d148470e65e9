"""`python -m initbench.audit MODULE:FUNCTION`: whether the model that a function makes is initialized as it was meant.

In Python it is `initbench.audit(...)`: this file is only a command, and nothing imports it.
"""

import argparse
import math
import sys
from contextlib import redirect_stdout
from importlib import import_module
from typing import Any

from initbench import generators
from initbench.auditing.audit import audit
from initbench.command_line import Parser, run
from initbench.console import console
from initbench.errors import nearest
from initbench.schema.target import reason


def main(arguments: list[str]) -> None:
    """Print what was found; exit with 1 if there are errors. Raises ValueError for what cannot be audited."""
    parser = Parser(
        prog="python -m initbench.audit",
        description="Tell whether a model is initialized as its author meant, and which recipe it follows.",
        epilog="The exit code is 1 if there are findings of severity error, and 2 for what cannot be audited.",
    )
    parser.add_argument("model", metavar="MODULE:FUNCTION", help="a function without arguments that makes the model")
    parser.add_argument(
        "--batch", metavar="MODULE:FUNCTION", help="a function that makes inputs, or (inputs, class numbers)"
    )
    parser.add_argument(
        "--seconds", type=_seconds, default=300, metavar="S", help="begin no further check after so long (default 300)"
    )
    parser.add_argument("--json", action="store_true", help="print the findings and the recipe as JSON")
    asked = parser.parse_args(arguments)
    with redirect_stdout(sys.stderr):  # what the model prints
        batch = None if asked.batch is None else _call(asked.batch)
        found = audit(named(asked.model), batch, seconds=asked.seconds, show_progress=console.is_terminal)
    if asked.json:
        print(found.to_json())
    else:
        console.print(found)
    if found.errors:
        sys.exit(1)


def named(text: str) -> Any:
    """What `module:name` names. Raises ValueError for a text of another form, and for what is not there."""
    module_name, _, name = text.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), name)):
        raise ValueError(f"{text!r} must be MODULE:FUNCTION, as in my_package.models:make_model")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ValueError(f"{module_name} cannot be imported: {error}") from error
    except (Exception, SystemExit) as error:  # a module of the user's may raise anything
        raise ValueError(f"{module_name} cannot be imported: {reason(error)}") from error
    if not callable(found := getattr(module, name, None)):
        others = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ValueError(f"{module_name} has no function {name!r}.{nearest(name, others)}")
    return found


def _call(text: str) -> Any:
    make = named(text)
    generators.seed_all(2)  # so that the same command finds the same; the models are made with 0 and 1
    try:
        batch = make()
    except (Exception, SystemExit) as error:  # it is the user's, and may raise anything
        raise ValueError(f"{text} makes no batch: {reason(error)}") from error
    if batch is None:
        raise ValueError(f"{text} makes no batch: it returns nothing")
    return batch


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number of seconds above 0, got {text}")
    return seconds


if __name__ == "__main__":
    run(main)
