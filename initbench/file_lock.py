"""The kernel's lock of a file, which dies with its owner.

flock works on one machine and on NFS; on Lustre where it is mounted with `flock`, as most are.
"""

import errno
import fcntl
import math
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

_POLL_SECONDS = 0.05
_HELD = (errno.EACCES, errno.EAGAIN)  # by another process; everything else is said to have no locks
OPEN = os.O_RDWR | os.O_NONBLOCK


@contextmanager
def locked(path: Path, patience: float = math.inf) -> Iterator[bool]:
    """Hold the lock of a file, which is made if need be; False if another process keeps it for longer than `patience`.

    patience: in seconds. Raises OSError where the file cannot be opened or locked.
    """
    file = os.open(path, OPEN | os.O_CREAT, 0o666)
    try:
        yield _acquire(file, patience)
    finally:
        with ExitStack() as stack:
            stack.callback(os.close, file)
            fcntl.flock(file, fcntl.LOCK_UN)  # or a child that was forked meanwhile would keep it


def _acquire(file: int, patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not try_lock(file, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def try_lock(file: int, kind: int) -> bool:
    """Whether a lock (fcntl.LOCK_EX or LOCK_SH) could be had at once. Raises OSError where there are no locks."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise
    return True
