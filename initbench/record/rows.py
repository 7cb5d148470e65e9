"""A run's history as it grows: a row a logged step, on disk every few seconds."""

import time
from collections.abc import Iterator
from typing import Any

from initbench.record.store import Store

FLUSH_SECONDS = 5.0  # a killed process costs at most so much of the history


class Rows:
    """Rows {step, epoch, seconds, lr, train/*, val/*} in the order of their steps."""

    def __init__(self, store: Store | None) -> None:
        self.store = store  # None on all processes but the first
        self.by_step: dict[int, dict[str, Any]] = {}
        self.latest: dict[str, float] = {}  # of each quantity
        self._flushed_at = time.monotonic()
        self._unwritten = False

    def add(self, step: int, epoch: int, seconds: float, values: dict[str, float]) -> None:
        """What was measured at `step`; training and validation share its row."""
        self.by_step.setdefault(step, {"step": step, "epoch": epoch, "seconds": seconds}).update(values)
        self.latest.update(values)
        self._unwritten = True
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.store is not None and self._unwritten:
            self.store.write_table("history", list(self))
            self._unwritten = False
        self._flushed_at = time.monotonic()

    def evaluated_at(self, step: int) -> bool:
        return "val/accuracy" in self.by_step.get(step, {})

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.by_step.values())
