"""The records of a large study in one file, `.sweep/records.index`: to open ten thousand files takes seconds.

It is a cache. A row is used only while size, times and inode of the record's file are those at which it was read, so
whatever happened to a record, or to the index, costs time and changes no result.

The file has three parts: a digest of the rest and of the code that checks records, so that neither damage nor another
version of initbench goes unnoticed; a line with the name and the stamp of each run; and a line with each record.
"""

import json
import os
import time
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from initbench import metric
from initbench.record import damage
from initbench.record import metric as record_metric
from initbench.record.damage import check_file
from initbench.record.plain import Record
from initbench.record.store import read_record, replacing

_WORTH = 100  # records that had to be opened: fewer take less time to read than the index takes to write
_SETTLED_NS = 2 * 10**9  # the coarsest clock of a file system: a file written twice within it may look the same

_Stamp = tuple[int, int, int, int]  # time of writing, size, inode, time of any change


class Records:
    """The records of a study, each opened again only if its file has changed. `of_study` makes one per process."""

    def __init__(self, study: Path) -> None:
        self.study = study
        self._path = study / ".sweep" / "records.index"
        self._rows = _load(self._path)
        self._used: set[str] = set()
        self._opened = 0

    def read(self, name: str) -> Record | None:
        """The record in the folder of a run, by its name: what `read_record` returns or raises."""
        stamp = _stamp(f"{self.study}/{name}/record.json")
        known = self._rows.get(name)
        if known is not None and known[0] == stamp:
            self._used.add(name)
            record: Record | None = json.loads(known[1])
            return record
        record = read_record(self.study / name)
        if record is not None and stamp is not None and max(stamp[0], stamp[3]) < time.time_ns() - _SETTLED_NS:
            self._rows[name] = stamp, json.dumps(record, separators=(",", ":"))
            self._used.add(name)
            self._opened += 1
        return record

    def save(self) -> None:
        """Write the index of the runs that were read, if that is worth it; where it cannot be written, do without."""
        if self._opened < _WORTH:
            return
        now = dict(self._rows)  # another thread, the live view, may add to them
        rows = {name: row for name, row in now.items() if name in self._used}
        places = [[name, *stamp] for name, (stamp, _) in rows.items()]
        body = "\n".join([json.dumps(places), *(text for _, text in rows.values())]).encode()
        with suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            with replacing(self._path) as file:
                file.write(_digest(body) + b"\n" + body)
        self._opened = 0


@lru_cache(maxsize=4)
def of_study(study: Path) -> Records:
    """The records of a study, whoever in this process asks for them."""
    return Records(study)


def _load(path: Path) -> dict[str, tuple[_Stamp, str]]:
    """The rows of an index; none where there is no index, or not one that this version has written."""
    try:
        check_file(path)
        digest, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return {}
    if digest != _digest(body):
        return {}
    places, *texts = body.decode().split("\n")
    return {name: (tuple(stamp), text) for (name, *stamp), text in zip(json.loads(places), texts, strict=True)}


def _stamp(path: str) -> _Stamp | None:
    try:
        status = os.stat(path)  # no Path: thousands of them  # noqa: PTH116
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns


def _digest(body: bytes) -> bytes:
    found = blake2b(body, digest_size=16)
    for module in (damage, metric, record_metric):  # a record that they let pass is not checked again
        found.update(Path(str(module.__file__)).read_bytes())
    return found.hexdigest().encode()
