"""If several processes need the same file, one of them makes it while the others wait."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from initbench.console import warn
from initbench.file_lock import locked

_UNNOTICED = 1.0  # seconds of waiting


@contextmanager
def alone(lock: Path, doing: str) -> Iterator[bool]:
    """Hold a lock; False if locking is impossible, so several processes may be in the block.

    If a process dies, its lock is released. Everybody who may write the folder of the lock may take it.
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
