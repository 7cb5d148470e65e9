"""A study, made by hand at a fixed time, as `python -m initbench.status` sees and shows it."""

from pathlib import Path

from records import NOW
from rich.console import Console

from initbench.status.study import Study
from initbench.status.summary import Summary, summarize
from initbench.status.view import glance, overview


def look(study: Path, at_once: int = 0) -> Summary:
    return summarize(Study(study).read(), NOW, at_once)


def text(summary: Summary, width: int = 80, height: int | None = None) -> str:
    """The overview, or the glance where there is a height."""
    console = Console(width=width, height=height, color_system=None)
    with console.capture() as capture:
        console.print(glance(summary, NOW, console) if height else overview(summary, NOW, width))
    return capture.get()
