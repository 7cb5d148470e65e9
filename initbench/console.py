"""The terminal: one console for everything that people read."""

from rich.console import Console

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
