"""Saves a pack as it goes, so that one that is stopped or killed goes on as if nothing had happened, bit for bit."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from initbench.packed import files
from initbench.record.store import CHECKPOINTS_MOST_OF_TIME, writing


class PackCheckpoint:
    """The checkpoint of the runs in `folders`, in this order, beside its roster; there while they are under way."""

    def __init__(self, folders: Sequence[Path], seconds: float) -> None:
        self.folders = folders
        self.path = files.checkpoint_of(folders)
        self.seconds = seconds
        self._saved_at = time.monotonic()
        self._cost = 0.0

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """What was saved last, None where nothing was."""
        if not self.path.exists():
            return None
        state: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=False)  # our own
        return state

    def save_if_due(self, state: Callable[[], dict[str, Any]], *, at_once: bool) -> None:
        """At most every `seconds`, less often where saving is slow."""
        started = time.monotonic()
        if not at_once and started - self._saved_at <= max(self.seconds, self._cost / CHECKPOINTS_MOST_OF_TIME):
            return
        part = self.path.with_suffix(".part")
        try:
            with writing(self.path):
                part.parent.mkdir(parents=True, exist_ok=True)
                torch.save(state(), part)
                if not files.is_written(self.folders):  # a half, where memory ran out
                    files.write(self.folders, slots=None)
                part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def remove(self) -> None:
        files.remove(self.folders)
