"""One process at a time on a run."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from initbench.errors import LeftAlone, Unwritable, UserMistake
from initbench.file_lock import OPEN, locked, try_lock

# Long enough for a process whose parent was killed to notice and end, and for `is_held` to have looked.
PATIENCE_SECONDS = 10.0


@contextmanager
def lock(folder: Path, patience: float = PATIENCE_SECONDS) -> Iterator[bool]:
    """Hold the lock of a run's folder; False where another process keeps it for longer than `patience` (seconds).

    Raises LeftAlone where this user may not open the lock, Unwritable where nothing in the study can be locked.
    """
    path = _path(folder)
    with ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            mine = stack.enter_context(locked(path, patience))
        except OSError as error:
            raise _explained(path, error) from error
        yield mine


def is_held(folder: Path) -> bool:
    """Whether a living process is at this run; True where that cannot be asked. Nothing is written."""
    try:
        file = os.open(_path(folder), os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    try:
        return not try_lock(file, fcntl.LOCK_SH)
    except OSError:
        return True
    finally:
        os.close(file)


def check_lock(folder: Path) -> None:
    """Raise LeftAlone where `lock` would; nothing is written."""
    path = _path(folder)
    try:
        os.close(os.open(path, OPEN))
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise _explained(path, error) from error


def check_locks(file: IO[bytes], where: str | Path) -> None:
    """Raise ValueError where files such as this one, in `where`, cannot be locked."""
    try:
        try_lock(file.fileno(), fcntl.LOCK_EX)
    except OSError as error:
        raise ValueError(_no_locks(where, error)) from error


def _path(folder: Path) -> Path:
    # Beside the runs: the folder of a run that is refused alone is never made.
    return folder.parent / ".locks" / f"{folder.name}.lock"


def _explained(path: Path, error: OSError) -> UserMistake:
    if path.parent.exists() and not path.parent.is_dir():
        return Unwritable(f"{path.parent} is no folder: move it away, as the locks of runs belong there")
    if error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL):
        return Unwritable(_no_locks(path.parent.parent, error))
    if path.is_dir():
        return LeftAlone(f"{path} is a folder, so its run is left alone: move it away, as a lock is a file")
    if os.path.lexists(path):
        remedy = "ask its owner for permission to write it, or choose another study="
        return LeftAlone(f"{path} cannot be opened ({error.strerror}), so its run is left alone: {remedy}")
    return Unwritable(f"{path.parent} cannot be written: {error.strerror}")


def _no_locks(where: str | Path, error: OSError) -> str:
    remedy = "choose another runs_dir=, or mount this one with flock"
    return f"{where} is on a file system that cannot lock files (flock: {error.strerror}): {remedy}"
