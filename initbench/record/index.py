"""The rows of a large study's records in one file, `.sweep/records.index`: to open ten thousand files takes seconds.

It is a cache, see `initbench.record.sealed`. A row is used only while size, times and inode of the record's file are
those at which it was read, so whatever happened to a record costs time and changes no result.
"""

import json
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from initbench.metric import Metric
from initbench.record.damage import Damaged
from initbench.record.flat import flat
from initbench.record.plain import Row
from initbench.record.sealed import read_sealed, write_sealed
from initbench.record.store import read_record

_WORTH = 100  # records that had to be opened: fewer take less time to read than the index takes to write
_SETTLED_NS = 2 * 10**9  # the coarsest clock of a file system: a file written twice within it may look the same

Stamp = tuple[int, int, int, int]  # time of writing, size, inode, time of any change


class Records:
    """The records of a study, each opened again only if its file has changed. `of_study` makes one per process."""

    def __init__(self, study: Path) -> None:
        self.study = study
        self._path = study / ".sweep" / "records.index"
        self._rows = _load(self._path)
        self._used: set[str] = set()
        self._opened = 0

    def read(self, name: str) -> Row | None:
        """The flat row of the record in the folder of a run, by its name. Raises Damaged, as `read_record` does."""
        stamp = _stamp(f"{self.study}/{name}/record.json")
        known = self._rows.get(name)
        if known is not None and known[0] == stamp:
            self._used.add(name)
            return known[1]
        record = read_record(self.study / name)
        if record is None:
            return None
        row = flat(record)
        if stamp is not None and max(stamp[0], stamp[3]) < time.time_ns() - _SETTLED_NS:
            self._rows[name] = stamp, row
            self._used.add(name)
            self._opened += 1
        return row

    def save(self) -> None:
        """Write the index of the runs that were read, if that is worth it for those opened since the last time."""
        opened, self._opened = self._opened, 0
        if opened < _WORTH:
            return
        shared = _Shared()
        now = dict(self._rows)  # another thread, the live view, may add to them
        rows = [[name, *stamp, shared.packed(row)] for name, (stamp, row) in now.items() if name in self._used]
        write_sealed(self._path, [shared.values, rows])


class _Shared:
    """The workloads and metrics of rows, each once: most runs of a study share theirs."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def packed(self, row: Row) -> Row:
        """The row with the places of its workload and its metric."""
        metric = row["metric"]
        both = {"workload_config": row["workload_config"], "metric": None if metric is None else vars(metric)}
        return {**row, **{key: self._place(value) for key, value in both.items()}}

    def _place(self, value: Any) -> int:
        place = self._places.setdefault(json.dumps(value), len(self.values))
        self.values += [value] * (place == len(self.values))
        return place


@lru_cache(maxsize=4)
def of_study(study: Path) -> Records:
    """The records of a study, whoever in this process asks for them."""
    return Records(study)


def rows_below(folder: Path) -> tuple[list[Row], list[Damaged]]:
    """The flat rows of all records below a folder, at any depth, with `path`; and those that cannot be read."""
    rows: list[Row] = []
    damaged = []
    for study, names in _runs_below(folder):
        records = of_study(study)
        for name in names:
            try:
                row = records.read(name)
            except Damaged as error:
                damaged.append(error)
            else:
                rows += [] if row is None else [{**row, "path": str(study / name)}]
        records.save()
    return rows, damaged


def _runs_below(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """The names of the folders with a record, by the folder above them, in the order of their paths."""
    # No rglob, and no Path for each: either takes longer than everything else here.
    found = [at for at, folders, files in os.walk(folder) if "record.json" in files or "record.json" in folders]
    split = [at.rpartition(os.sep) for at in sorted(found, key=lambda at: at.split(os.sep))]  # noqa: PTH206 - see above
    for study, runs in groupby(split, key=lambda parts: parts[0] or parts[1]):
        yield Path(study), [name for *_, name in runs]


def _load(path: Path) -> dict[str, tuple[Stamp, Row]]:
    content = read_sealed(path)
    if content is None:
        return {}
    shared, rows = content
    metrics = {place: Metric(**shared[place]) for place in {row["metric"] for *_, row in rows} if shared[place]}
    for *_, row in rows:
        row["workload_config"], row["metric"] = shared[row["workload_config"]], metrics.get(row["metric"])
    return {name: (tuple(stamp), row) for name, *stamp, row in rows}


def _stamp(path: str) -> Stamp | None:
    try:
        # Opened, as NFS tells of a file that is only looked at what it was like up to a minute ago.
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return stamp_of(os.fstat(file))
    finally:
        os.close(file)


def stamp_of(status: os.stat_result) -> Stamp:
    """What changes whenever a file does."""
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns
