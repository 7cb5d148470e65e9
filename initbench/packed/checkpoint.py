"""Saves a pack as it goes, so that one that is stopped or killed goes on as if nothing had happened, bit for bit."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from initbench.packed.grouping import roster
from initbench.record.signature import digest
from initbench.record.store import CHECKPOINTS_MOST_OF_TIME, atomic_write, writing


class PackCheckpoint:
    """`<study>/.packs/<digest>.ckpt`, of the runs in `folders` in this order; there while they are under way.

    Beside it is its roster, by which the next sweep makes the same pack of them, whatever else is to be run.
    """

    def __init__(self, folders: Sequence[Path], seconds: float) -> None:
        self.runs = {"runs": [folder.name for folder in folders]}
        name = digest(self.runs)
        self.path = folders[0].parent / ".packs" / f"{name}.ckpt"
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
                atomic_write(roster(self.path), json.dumps(self.runs).encode())
                part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        roster(self.path).unlink(missing_ok=True)
