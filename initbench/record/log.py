"""A run's own log, log.txt, for when nobody watches the terminal."""

import faulthandler
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TextIO

from initbench.masking import hide
from initbench.record.damage import set_aside


def note(path: Path, text: str) -> None:
    """Append a line, with the time, to a log; a full disk loses it, as writing the record will say."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {hide(text)}\n")


@contextmanager
def logging_to(paths: Sequence[Path]) -> Iterator[None]:
    """Inside, warnings and messages of every library also go to the end of each file.

    What native code crashes with goes to the first one: Python writes it to one file only.
    """
    with ExitStack() as stack:
        handlers = [stack.enter_context(_handler(path)) for path in paths]
        root = logging.getLogger()
        for handler in handlers:
            root.addHandler(handler)
            stack.callback(root.removeHandler, handler)
        show = warnings.showwarning

        def show_and_note(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            text = warnings.formatwarning(message, category, filename, lineno, line).strip()
            for path in paths:
                note(path, text)
            show(message, category, filename, lineno, file, line)

        warnings.showwarning = show_and_note
        stack.callback(setattr, warnings, "showwarning", show)
        if not faulthandler.is_enabled() and handlers[0].stream:
            faulthandler.enable(handlers[0].stream)
            stack.callback(faulthandler.disable)
        yield


class _Masking(logging.Formatter):
    """Messages without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))


@contextmanager
def _handler(path: Path) -> Iterator[logging.FileHandler]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        set_aside(path)
    handler = logging.FileHandler(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(_Masking("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk: writing the record says so
    try:
        yield handler
    finally:
        with suppress(OSError):  # what is buffered may find no room
            handler.close()
