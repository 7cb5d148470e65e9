"""The terminal: one console for everything that people read."""

import os

from rich.console import Console

# Several workers on one terminal would write over each other: their parent speaks for them.
_QUIET = "LOCAL_LAUNCHER_SLOT" in os.environ

console = Console(highlight=False, quiet=_QUIET)
errors = Console(stderr=True, highlight=False, quiet=_QUIET)
