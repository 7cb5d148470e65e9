"""A study as its folder has it: every record, read again only where its file has changed."""

import os
import platform
from dataclasses import dataclass, replace
from pathlib import Path

from initbench.metric import check_margin
from initbench.record.damage import Damaged, mapping, read_json, readable, tell, wrong
from initbench.record.lock import is_held
from initbench.record.store import read_record
from initbench.status.facts import Run, from_record

DIED = "its process died"

_Stamp = tuple[int, int]  # of a file that is replaced as a whole: when (ns), and its inode


@dataclass(frozen=True, slots=True)
class Plan:
    """What the latest sweep of a study set out to run, by the names of folders."""

    runs: frozenset[str]
    force: bool  # also what is finished already
    written: int  # ns since the epoch; of a plan in rounds the first of them
    abandoned: bool  # the process that made it is known to have ended
    margin: float | None = None  # what the sweep asked of the report, see conf/config.yaml
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    runs: list[Run]
    unreadable: list[str]  # names of folders
    plan: Plan | None


class Study:
    """One folder, to be read as often as one likes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read_so_far: dict[str, tuple[_Stamp, Run | None]] = {}

    def stamps(self) -> dict[str, _Stamp]:
        """What there is: for the name of each run's folder what changes with its record."""
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry in entries if not entry.name.startswith(".")]
        except OSError:
            return {}
        stamps = ((name, self._stamp(name)) for name in names)
        return {name: stamp for name, stamp in stamps if stamp is not None}

    def read(self) -> Snapshot:
        """All runs as they are now. One whose record says running, but which nobody is at, was interrupted."""
        self._read_so_far = {name: (stamp, self._run(name, stamp)) for name, stamp in self.stamps().items()}
        runs = [run for _, run in self._read_so_far.values() if run is not None]
        return Snapshot(
            runs=[self._watched(run) if run.status == "running" else run for run in runs],
            unreadable=sorted(name for name, (_, run) in self._read_so_far.items() if run is None),
            plan=self.plan(),
        )

    def plan(self) -> Plan | None:
        """The latest sweep's, None where none left a plan that can be read."""
        path = self.folder / ".sweep" / "plan.json"
        content = readable(read_json, path, _check_plan, "the next sweep writes it again")
        if content is None:
            return None
        abandoned = content.get("host") == platform.node() and not _exists(content["pid"])
        report = content.get("report", {})
        asked = report.get("margin"), report.get("reference")
        return Plan(frozenset(content["runs"]), bool(content.get("force")), content["since"], abandoned, *asked)

    def _stamp(self, name: str) -> _Stamp | None:
        try:
            # A link to nothing is damage, too. No Path: thousands of them, each second.
            status = os.lstat(f"{self.folder}/{name}/record.json")
        except OSError:
            return None  # not the folder of a run, or of one that has not begun
        return status.st_mtime_ns, status.st_ino

    def _run(self, name: str, stamp: _Stamp) -> Run | None:
        known = self._read_so_far.get(name)
        if known is not None and known[0] == stamp:
            return known[1]
        record = readable(read_record, self.folder / name)
        return None if record is None else from_record(record, name, written=stamp[0])

    def _watched(self, run: Run) -> Run:
        """A run whose record says running: how far it is, or what has become of it."""
        folder = self.folder / run.folder
        if is_held(folder):
            largest = _largest(folder / "history.parquet")
            return replace(run, step=largest.get("step"), best=largest.get("val/accuracy"))
        stamp = self._stamp(run.folder)  # it may have ended between the two looks
        latest = (self._run(run.folder, stamp) if stamp else None) or run
        return replace(latest, status="interrupted", reason=DIED) if latest.status == "running" else latest


def _check_plan(content: object) -> None:
    """Raise ValueError for what is no plan of a sweep."""
    plan = mapping(content, "it")
    if not isinstance(plan.get("runs"), list) or not all(isinstance(name, str) for name in plan["runs"]):
        raise wrong("runs", plan.get("runs"), "a list of names")
    for key in ("since", "pid"):
        if type(plan.get(key)) is not int:
            raise wrong(key, plan.get(key), "a whole number")
    report = mapping(plan.get("report", {}), "report")
    check_margin(report.get("margin"), "report.margin")
    if not isinstance(report.get("reference"), str | None):
        raise wrong("report.reference", report["reference"], "text")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass  # somebody else's, or nobody's
    return True


def _largest(history: Path) -> dict[str, float]:
    """The largest value of each column, from the footer alone: of the steps it is the latest."""
    # Here and not above: it costs as much as thousands of records, and only runs that are under way have a use for it.
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    try:
        group = read_metadata(history).row_group(0)
    except FileNotFoundError:
        return {}  # nothing was logged yet
    except (OSError, ArrowException, IndexError) as error:
        tell(Damaged(history, error, "the run writes it again"))
        return {}
    columns = [group.column(index) for index in range(group.num_columns)]
    known = [column for column in columns if column.statistics is not None and column.statistics.has_min_max]
    found = {column.path_in_schema: column.statistics.max for column in known}
    return {name: value for name, value in found.items() if isinstance(value, int | float)}
