"""What several processes would make at the same time is made by one, while the others wait."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from initbench.console import warn
from initbench.record.lock import locked

_UNNOTICED = 1.0  # seconds of waiting


@contextmanager
def alone(lock: Path, doing: str) -> Iterator[bool]:
    """Hold a lock; False where nothing can be locked, so that several processes may be in the block.

    The lock of a process that dies is free at once. All who may write the lock's folder may take it.
    """
    with ExitStack() as stack:
        try:
            if not stack.enter_context(locked(lock, patience=_UNNOTICED)):
                warn(f"waiting for another process that is {doing}")
                stack.enter_context(locked(lock))
            held = True
        except OSError:
            held = False
        with suppress(OSError):  # it is somebody else's, who has done so
            lock.chmod(lock.parent.stat().st_mode & 0o666)
        yield held
