"""Rows that are written from a thread, so that training does not wait for a database or a server."""

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class Writer:
    """Hands rows to `write` in their order, as many at once (at most `most`) as have come while it was busy."""

    def __init__(self, write: Callable[[list[Any]], object], most: int) -> None:
        self._write, self._most = write, most
        self._rows: deque[Any] = deque()
        self._thread = ThreadPoolExecutor(1)
        self._writes: deque[Future[None]] = deque()

    def add(self, rows: Iterable[Any]) -> None:
        """Returns at once. Raises what an earlier write has raised."""
        while self._writes and self._writes[0].done():
            self._writes.popleft().result()
        self._rows.extend(rows)
        self._writes.append(self._thread.submit(self._write_all))

    def finish(self) -> None:
        """Wait until all is written. Raises what a write has raised."""
        while self._writes:
            self._writes.popleft().result()

    def end(self) -> None:
        """Write no more."""
        self._rows.clear()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _write_all(self) -> None:
        while rows := [self._rows.popleft() for _ in range(min(len(self._rows), self._most))]:
            self._write(rows)
