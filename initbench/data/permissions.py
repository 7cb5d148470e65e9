"""The permissions of a copy: whoever may read the original may read it."""

import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_GROUP, _OTHERS = stat.S_IRGRP, stat.S_IROTH


@dataclass(frozen=True)
class Permissions:
    """Who may read all of some files.

    mode: the bits of group and others; owner, group: None where the files have several.
    """

    mode: int
    owner: int | None
    group: int | None

    @classmethod
    def of(cls, files: Iterable[os.stat_result], folders: Iterable[os.stat_result]) -> "Permissions":
        """The permissions of those who may read all files and enter all folders."""
        mode, owners, groups = _GROUP | _OTHERS, set(), set()
        for file in files:
            mode &= file.st_mode
            owners.add(file.st_uid)
            groups.add(file.st_gid)
        for folder in folders:
            mode &= folder.st_mode << 2  # x of a folder where r of a file is
            groups.add(folder.st_gid)
        return cls(mode, _only(owners), _only(groups))

    def give(self, file: int) -> None:
        """Give them to an open file of this user; its owner changes only if this user is root."""
        if self.owner is not None:
            _try_chown(file, self.owner, -1)
        same_group = self.group is not None and _try_chown(file, -1, self.group)
        mode = self.mode if same_group or self.mode & _OTHERS else self.mode & ~_GROUP
        with suppress(OSError):  # a file system without modes
            os.fchmod(file, stat.S_IRUSR | stat.S_IWUSR | mode)


def follow(folder: Path, other: Path) -> None:
    """Give a folder of this user the owner, group and mode of another, as far as permitted."""
    like = other.stat()
    _try_chown(folder, like.st_uid, -1)
    _try_chown(folder, -1, like.st_gid)
    with suppress(OSError):  # a file system without permissions
        folder.chmod(stat.S_IMODE(like.st_mode) | stat.S_IRWXU)


def _only(values: set[int]) -> int | None:
    return next(iter(values)) if len(values) == 1 else None


def _try_chown(file: int | Path, owner: int, group: int) -> bool:
    try:
        os.chown(file, owner, group)
    except OSError:
        return False
    return True
