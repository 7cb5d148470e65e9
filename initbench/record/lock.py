"""One process at a time on a run: the kernel's lock of a file, which dies with its owner.

flock works on one machine and on NFS; on Lustre where it is mounted with `flock`, as most are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

# Long enough for a process whose parent was killed to notice and end, and for `is_held` to have looked.
PATIENCE_SECONDS = 10.0


@contextmanager
def lock(folder: Path, patience: float = PATIENCE_SECONDS) -> Iterator[bool]:
    """Hold the lock of a run's folder; False where another process keeps it for longer than `patience` (seconds)."""
    path = _path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(path)
    try:
        held.acquire(timeout=patience)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()


def is_held(folder: Path) -> bool:
    """Whether a living process is at this run."""
    path = _path(folder)
    if not path.exists():
        return False
    try:
        with FileLock(path, timeout=0):
            return False
    except Timeout:
        return True


def _path(folder: Path) -> Path:
    # Beside the runs: the folder of a run that is refused alone is never made.
    return folder.parent / ".locks" / f"{folder.name}.lock"
