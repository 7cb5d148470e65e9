"""The records of a study's folder, each read again only if its file has changed."""

import os
import platform
from dataclasses import dataclass, fields, replace
from pathlib import Path

from initbench.metric import check_margin
from initbench.record.damage import Damaged, check_file, mapping, read_json, readable, tell, wrong
from initbench.record.index import of_study
from initbench.record.lock import is_held
from initbench.status.facts import RunFacts, from_row

DIED = "its process died"

_Stamp = tuple[int, int]  # time (ns) and inode, which change when a file is replaced


@dataclass(frozen=True, slots=True)
class Race:
    """A race as it is after its latest round, see `initbench.sweep.race_state`."""

    workload: str  # its name; empty for one race over all of them
    seeds: int
    most_seeds: int
    inside: list[str]
    out: dict[str, int]  # after how many seeds
    best: str | None
    leads: dict[str, tuple[str, str]]  # of the best over each other: the lead, and that at which the other is out
    saved: int  # runs
    is_over: bool  # decided, at its last seed, or out of budget


@dataclass(frozen=True, slots=True)
class Plan:
    """The runs that the latest sweep of a study planned, by the names of their folders."""

    runs: frozenset[str]
    force: bool  # finished runs are repeated, too
    sweep: str | None  # its id, which the records of its runs have
    abandoned: bool  # the process that made it is known to have ended
    margin: float | None = None  # of the report, see conf/config.yaml
    reference: str | None = None
    races: tuple[Race, ...] = ()  # of until=sure, as they are after its latest round


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A study at one moment."""

    runs: list[RunFacts]
    unreadable: list[str]  # names of folders
    plan: Plan | None


class Study:
    """The folder of a study, which can be read again and again at little cost."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records = of_study(folder)
        self._read_so_far: dict[str, tuple[_Stamp, RunFacts | None]] = {}

    def stamps(self) -> dict[str, _Stamp]:
        """By the name of each run's folder something that changes when its record does."""
        try:
            with os.scandir(self.folder) as entries:
                names = [entry.name for entry in entries if not entry.name.startswith(".")]
        except OSError:
            return {}
        stamps = ((name, self._stamp(name)) for name in names)
        return {name: stamp for name, stamp in stamps if stamp is not None}

    def read(self) -> Snapshot:
        """All runs as they are now; one whose record says running is interrupted if no process holds its lock."""
        self._read_so_far = {name: (stamp, self._run(name, stamp)) for name, stamp in self.stamps().items()}
        self._records.save()
        runs = [run for _, run in self._read_so_far.values() if run is not None]
        return Snapshot(
            runs=[self._watched(run) if run.status == "running" else run for run in runs],
            unreadable=sorted(name for name, (_, run) in self._read_so_far.items() if run is None),
            plan=self.plan(),
        )

    def plan(self) -> Plan | None:
        """The plan of the latest sweep; None if there is none that can be read."""
        path = self.folder / ".sweep" / "plan.json"
        content = readable(read_json, path, _check_plan, "the next sweep writes it again")
        if content is None:
            return None
        abandoned = content.get("host") == platform.node() and not _exists(content["pid"])
        report = content.get("report", {})
        asked = report.get("margin"), report.get("reference")
        races = tuple(Race(**of) for of in content.get("race", ()))
        return Plan(frozenset(content["runs"]), bool(content.get("force")), content["sweep"], abandoned, *asked, races)

    def _stamp(self, name: str) -> _Stamp | None:
        try:
            # A link to nothing is damage, too. No Path: thousands of them, each second.
            status = os.lstat(f"{self.folder}/{name}/record.json")
        except OSError:
            return None  # not the folder of a run, or the run has not started
        return status.st_mtime_ns, status.st_ino

    def _run(self, name: str, stamp: _Stamp) -> RunFacts | None:
        known = self._read_so_far.get(name)
        if known is not None and known[0] == stamp:
            return known[1]
        row = readable(self._records.read, name)
        return None if row is None else from_row(row, name, written=stamp[0])

    def _watched(self, run: RunFacts) -> RunFacts:
        """A run whose record says running, with how far it is or, if its process died, as interrupted."""
        folder = self.folder / run.folder
        if is_held(folder):
            ranges = _ranges(folder / "history.parquet")
            best = ranges.get(f"val/{run.metric.name}") if run.metric else None
            return replace(
                run,
                step=ranges["step"][1] if "step" in ranges else None,  # the largest step is the latest
                best=run.metric.best_of(best) if run.metric and best else None,
            )
        stamp = self._stamp(run.folder)  # it may have ended since its record was read
        latest = (self._run(run.folder, stamp) if stamp else None) or run
        return replace(latest, status="interrupted", reason=DIED) if latest.status == "running" else latest


def _check_plan(content: object) -> None:
    """Raise ValueError for what is no plan of a sweep."""
    plan = mapping(content, "it")
    if not isinstance(plan.get("runs"), list) or not all(isinstance(name, str) for name in plan["runs"]):
        raise wrong("runs", plan.get("runs"), "a list of names")
    if type(plan.get("pid")) is not int:
        raise wrong("pid", plan.get("pid"), "a whole number")
    if "sweep" not in plan or not isinstance(plan["sweep"], str | None):
        raise wrong("sweep", plan.get("sweep"), "text")
    for race in plan.get("race", ()):
        if set(mapping(race, "a race")) != {field.name for field in fields(Race)}:
            raise wrong("race", race, f"a mapping with {', '.join(field.name for field in fields(Race))}")
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
        pass  # it belongs to another user, or to nobody
    return True


def _ranges(history: Path) -> dict[str, tuple[float, float]]:
    """The smallest and the largest value of each column, from the footer of the file alone."""
    # Imported here because it takes as long as reading thousands of records, and only running runs need it.
    from pyarrow import ArrowException
    from pyarrow.parquet import read_metadata

    try:
        check_file(history)
        group = read_metadata(history).row_group(0)
    except FileNotFoundError:
        return {}  # nothing was logged yet
    except (OSError, ArrowException, IndexError) as error:
        tell(Damaged(history, error, "the run writes it again"))
        return {}
    columns = [group.column(index) for index in range(group.num_columns)]
    known = [column for column in columns if column.statistics is not None and column.statistics.has_min_max]
    found = {column.path_in_schema: (column.statistics.min, column.statistics.max) for column in known}
    return {name: ends for name, ends in found.items() if isinstance(ends[1], int | float)}
