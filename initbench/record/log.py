"""A run's own log, for when nobody watches the terminal."""

import faulthandler
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


@contextmanager
def logging_to(path: Path) -> Iterator[logging.Logger]:
    """Inside, warnings, messages of every library and what native code crashes with also go to the end of `path`.

    Yields the logger for what only the file shall have.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    handler.handleError = lambda record: None  # type: ignore[method-assign]  # a full disk: the record's writing says so
    own = logging.Logger("initbench")
    show = warnings.showwarning

    def tee(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        own.warning(warnings.formatwarning(message, category, filename, lineno, line).strip())
        show(message, category, filename, lineno, file, line)

    own.addHandler(handler)
    logging.getLogger().addHandler(handler)
    warnings.showwarning = tee
    ours = not faulthandler.is_enabled()
    if ours and handler.stream:
        faulthandler.enable(handler.stream)
    try:
        yield own
    finally:
        if ours:
            faulthandler.disable()
        warnings.showwarning = show
        logging.getLogger().removeHandler(handler)
        with suppress(OSError):  # what is buffered may find no room
            handler.close()
