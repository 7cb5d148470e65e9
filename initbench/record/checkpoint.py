"""A checkpoint on disk: replaced as a whole, saved no more often than it pays, checked before it is used."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from initbench.console import warn
from initbench.record.damage import check_file, discard, set_aside
from initbench.record.store import writing

# A large model is saved less often than asked for: checkpoints take at most this fraction of the time.
_LARGEST_SHARE_OF_TIME = 0.05


class CheckpointFile:
    """The checkpoint of one run or of one pack, at `path`.

    `owner` is written into the file, and a file that somebody else owns, or that lacks one of `keys`, is not loaded.
    """

    def __init__(self, path: Path, owner: str, seconds: float, keys: Collection[str]) -> None:
        self.path = path
        self.owner = owner
        self.keys = keys
        self.seconds = seconds  # between two checkpoints
        self._saved_at = time.monotonic()
        self._cost = 0.0

    def is_due(self) -> bool:
        return time.monotonic() - self._saved_at > max(self.seconds, self._cost / _LARGEST_SHARE_OF_TIME)

    def save(self, write: Callable[[Path], None], *, is_first: bool = True) -> None:
        """Let `write` make the file under another name, then put it in place.

        Several processes that write together call this on each; the first of them renames. Raises Unwritable.
        """
        started = time.monotonic()
        part = self.path.with_suffix(".part")
        if is_first and part.exists() and not part.is_file():
            set_aside(part)
        try:
            with writing(self.path):
                part.parent.mkdir(parents=True, exist_ok=True)
                write(part)
                if is_first:
                    part.replace(self.path)
        finally:
            if is_first:
                discard(part)
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started

    def load(self, device: Any = "cpu") -> dict[str, Any] | None:
        """What was saved last, its tensors on `device`; None where there is none.

        Tensors and plain values alone are read (weights_only), so that a file of somebody else's runs no code here.
        A file that cannot be read, or has another owner, is renamed and named in one line: the run starts anew.
        """
        import torch

        if not self.path.exists():
            return None
        try:
            check_file(self.path)
            state: Any = torch.load(self.path, map_location=device, weights_only=True)
            if not isinstance(state, dict) or state.get("owner") != self.owner:
                raise ValueError("it belongs to another run")
            if missing := [key for key in self.keys if key not in state]:
                raise ValueError(f"it has no {missing[0]}")
        except torch.OutOfMemoryError:
            raise  # it says nothing about the file
        except Exception as error:  # torch, zipfile and pickle each raise their own
            reason = str(error).partition("\n")[0] or type(error).__name__
            if "weights_only" in reason:  # torch's advice, which is to read it without
                reason = "it is no checkpoint of tensors and plain values"
            kept = set_aside(self.path)
            warn(f"{self.path} cannot be read ({reason}): the run starts from the beginning; it is kept as {kept}")
            return None
        return state

    def remove(self) -> None:
        discard(self.path)
