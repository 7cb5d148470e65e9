"""`python -m initbench.audit MODULE:FUNCTION`: whether the model that a function makes is initialized as it was meant.

In Python it is `initbench.audit(...)`: this file is only a command, and nothing imports it.
"""

import sys
from importlib import import_module
from typing import Any

from initbench.auditing.audit import audit
from initbench.command_line import Parser, run
from initbench.console import console
from initbench.errors import nearest


def main(arguments: list[str]) -> None:
    """Print what was found; exit with 1 if there are errors. Raises ValueError for what cannot be audited."""
    parser = Parser(
        prog="python -m initbench.audit",
        description="Tell whether a model is initialized as its author meant.",
    )
    parser.add_argument("model", metavar="MODULE:FUNCTION", help="a function without arguments that makes the model")
    parser.add_argument("--batch", metavar="MODULE:FUNCTION", help="one that makes inputs, or (inputs, targets)")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    asked = parser.parse_args(arguments)
    found = audit(named(asked.model), None if asked.batch is None else named(asked.batch)())
    if asked.json:
        print(found.to_json())
    else:
        console.print(found)
    if found.errors:
        sys.exit(1)


def named(text: str) -> Any:
    """What `module:name` names. Raises ValueError for a text of another form, and for what is not there."""
    module_name, colon, name = text.partition(":")
    if not (module_name and colon and name):
        raise ValueError(f"{text!r} must be MODULE:FUNCTION, as in my_package.models:make_model")
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise ValueError(f"{module_name} cannot be imported: {error}") from error
    if not callable(found := getattr(module, name, None)):
        others = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ValueError(f"{module_name} has no function {name!r}.{nearest(name, others)}")
    return found


if __name__ == "__main__":
    run(main)
