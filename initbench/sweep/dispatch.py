"""From the grid of a sweep to what is to be launched: the plan said, written down, or only printed."""

import json
import os
import platform
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from initbench.config.check import check, check_parts, check_targets
from initbench.console import console
from initbench.diagnostics.schedule import Schedule
from initbench.errors import UserMistake, unknown
from initbench.fitting import Fitting
from initbench.masking import hide
from initbench.record import untold
from initbench.record.damage import readable
from initbench.record.index import of_study
from initbench.record.objective import check_objective
from initbench.record.store import COMPLETE, Store, atomic_write, left_alone, now
from initbench.record.sweep_id import sweep_id
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.plan import Job, plan, seconds_left
from initbench.sweep.study_plan import study_plan
from initbench.wording import about, count, visible

# What becomes of a job with a record of this status.
_NEXT = {
    None: "new",
    "finished": "done",
    "diverged": "done: diverged",
    "interrupted": "continues from its checkpoint",
    "running": "continues, or is running in another process",
    "failed": "failed: runs again",
    "refused": "refused: is tried again",
}


@dataclass
class Planned:
    """What a sweep has set out to run, in all of its rounds so far."""

    runs: set[str] = field(default_factory=set)  # names of folders
    untold: list[Store] = field(default_factory=list)  # that an earlier sweep has run, and no logger was told of
    race: list[dict[str, Any]] = field(default_factory=list)  # see `initbench.sweep.race_state`


def dispatch(
    loader: CachingConfigLoader, master: DictConfig, batches: Sequence[Sequence[list[str]]], planned: Planned
) -> Iterator[list[list[str]]]:
    """Yield, batch by batch, the overrides of the runs to do; with dry_run=true print the plan, and write nothing.

    Raises UserMistake where a dry run finds runs that would be refused.

    Within a batch those that died come last: in one process, a run that is killed at each try must not bar the others.
    """
    jobs = plan(loader, master, [job for batch in batches for job in batch])
    study = study_of(master)
    _check_reference(master.report.reference, jobs, study)
    # A finished run has a table to show, or no diagnostics to say so.
    all_of_them = master.force or master.print_init or Schedule(master.diagnostics)
    todo = [job for job in jobs if all_of_them or not job.is_complete]
    if master.dry_run:
        refused = _refused(loader, master, todo)
        _print(jobs, refused, force=master.force)
        if refused:
            reason = next(iter(refused.values()))
            raise UserMistake(f"{len(refused)} of {count(len(jobs), 'run')} would be refused: {reason}")
    else:
        if len(todo) < len(jobs):
            console.print(f"{count(len(jobs), 'run')}, {len(jobs) - len(todo)} of them already done")
        planned.runs.update(job.folder.name for job in jobs)
        again = {job.folder for job in todo}
        rest = [job for job in jobs if job.folder not in again and untold.is_marked(job.folder)]
        planned.untold += [Store(loader.resolved(master, job.overrides)) for job in rest]
        write_plan(study, planned, master)
    died = {id(job.overrides): job.status in ("running", "failed") for job in todo}
    for batch in batches:
        left = [overrides for overrides in batch if id(overrides) in died]
        if left:
            yield sorted(left, key=lambda overrides: died[id(overrides)])


def study_of(master: DictConfig) -> Path:
    """The folder of the study of a sweep."""
    return Path(master.runs_dir) / str(master.study)


def ended_runs(study: Path) -> int:
    """How many runs of a study have a result."""
    records = (readable(of_study(study).read, path.parent.name) for path in study.glob("*/record.json"))
    return sum(record is not None and record["status"] in COMPLETE for record in records)


def _refused(loader: CachingConfigLoader, master: DictConfig, jobs: Sequence[Job]) -> dict[str, str]:
    """Why jobs would be refused, by the names of their folders, as far as it can be told without their data."""
    refused = {}
    for job in jobs:
        config = loader.resolved(master, job.overrides)
        try:
            typed = check(config, job.overrides)
            check_targets(config)
            check_parts(config)
            check_objective(typed, master.hydra.sweeper.get("direction"))
        except UserMistake as mistake:
            refused[job.folder.name] = hide(str(mistake))
    return refused


def _check_reference(reference: str | None, jobs: Sequence[Job], study: Path) -> None:
    """Raise UserMistake for a reference that neither the sweep nor an earlier run of its study has."""
    inits = {job.init for job in jobs}
    label = str(reference).partition(" (source ")[0]  # a version of it: see `initbench.record.naming.name_versions`
    if reference is None or label in inits:
        return
    earlier = [readable(of_study(study).read, path.parent.name) for path in study.glob("*/record.json")]
    if label not in (known := inits | {record["init"] for record in earlier if record is not None}):
        raise UserMistake(str(unknown("report.reference", reference, known)))


def say_what_can_be_shown(loader: CachingConfigLoader, master: DictConfig, grid: Sequence[list[str]]) -> None:
    """What difference the seeds of a sweep can show, where it has initializers to compare; or how long a race is."""
    if master.until is not None:
        from initbench.analysis.verdict.planning import what_a_race_takes  # pandas

        takes = what_a_race_takes(study_plan(loader, master, grid), study_of(master))
        console.print(visible(takes), soft_wrap=True, markup=False)
        return
    seeds: dict[tuple[str, str], set[int]] = defaultdict(set)
    for job in plan(loader, master, grid):
        if not any(override.startswith("seeds.") for override in job.overrides):  # such runs may share seeds
            seeds[job.workload, job.init].add(job.seed)
    if len({init for _, init in seeds}) > 1:
        from initbench.analysis.verdict.planning import what_seeds_show  # pandas

        fewest, workloads = min(map(len, seeds.values())), len({workload for workload, _ in seeds})
        study = study_of(master)
        console.print(visible(what_seeds_show(fewest, workloads, study)), soft_wrap=True, markup=False)


def write_plan(study: Path, planned: Planned, master: DictConfig) -> None:
    """`.sweep/plan.json`: what `python -m initbench.status` counts as waiting, and what reports are asked for."""
    content = {
        "runs": sorted(planned.runs),
        "sweep": sweep_id(),
        "force": master.force,
        "report": OmegaConf.to_container(master.report),
        "race": planned.race,
        "started_at": now(),
        "pid": os.getpid(),
        "host": platform.node(),
    }
    atomic_write(study / ".sweep" / "plan.json", json.dumps(content).encode())


def _next(job: Job, refused: Mapping[str, str], force: bool) -> str:
    if reason := refused.get(job.folder.name):
        return f"would be refused: {escape(visible(reason))}"
    if (force or not job.is_complete) and left_alone(job.folder):
        return "refused: its files must stay as they are"
    return "runs again" if force and job.status else _NEXT.get(job.status, "runs again")


def _print(jobs: Sequence[Job], refused: Mapping[str, str], force: bool) -> None:
    table = Table(box=SIMPLE_HEAD, title="What would run", title_justify="left")
    table.add_column("run")
    table.add_column("state")
    for job in jobs:
        table.add_row(escape(job.folder.name), _next(job, refused, force))
    console.print(Fitting(table))
    wanted = [job for job in jobs if job.folder.name not in refused]
    todo = [job for job in wanted if force or not job.is_complete]
    seconds = seconds_left(wanted)
    if force or seconds is None:
        estimate = "duration unknown, as no run of the same kind has finished"
    else:
        estimate = f"{about(seconds)} one after the other, judging by finished runs of the same kind"
    what = f"{count(len(jobs), 'run')}, {len(todo)} to do" + (f", {len(refused)} refused" if refused else "")
    console.print(what + (f"; {estimate}" if todo else ""), soft_wrap=True)
