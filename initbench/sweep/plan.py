"""What a sweep has to do: its runs, and which of them have a record already."""

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.progress import track

from initbench import __version__
from initbench.config import source
from initbench.console import console
from initbench.errors import UserMistake
from initbench.record import signature
from initbench.record.damage import mapping, read_json, readable, wrong
from initbench.record.index import of_study
from initbench.record.store import COMPLETE, Store, atomic_write
from initbench.status.facts import RunFacts, from_row
from initbench.status.summary import estimate
from initbench.sweep.compose import CachingConfigLoader

# How a sweep goes about its runs; which runs they are is not changed by it.
_HOW = ("hydra", "dry_run=", "force=")


@dataclass(frozen=True)
class Job:
    """One run of a sweep, and what its record says."""

    overrides: Sequence[str]
    folder: Path
    setting: str
    workload: str  # its digest
    init: str  # as tables call it
    seed: int
    run: RunFacts | None  # None where there is no record

    @property
    def status(self) -> str | None:
        return None if self.run is None else self.run.status

    @property
    def is_complete(self) -> bool:
        return self.status in COMPLETE


def plan(loader: CachingConfigLoader, master: DictConfig, overrides: Sequence[Sequence[str]]) -> list[Job]:
    """The jobs of a sweep in its order, each once however often it was asked for.

    Which overrides make which run is remembered in the study's folder, until a file of the config, or of code that it
    names, changes: composing five thousand configs takes minutes, reading as many records a second.
    Raises Hydra's and OmegaConf's errors for overrides that no config comes of.
    """
    study = Path(master.runs_dir) / str(master.study)
    memory = study / ".sweep" / "signatures.json"
    loader.planned = loader.planned or _remembered(memory, _inputs(loader))  # it reads each file of the config once too
    known, sources = loader.planned["runs"], loader.planned["sources"]
    jobs: dict[Path, Job] = {}
    before = len(known)
    for job in track(overrides, "planning", console=console, transient=True, disable=not console.is_terminal):
        # A digest, as one of the overrides may be a secret.
        lines = signature.digest({"": [line for line in job if not line.startswith(_HOW)]})
        if lines not in known:
            store = Store(loader.resolved(master, job))
            if store.folder.parent != study:
                raise UserMistake(
                    f"the runs of a sweep share a study, and this one is in {store.folder.parent}, not in {study}: "
                    "neither study nor runs_dir may depend on what is swept over"
                )
            sources.update(source.named_sources(store.config))
            known[lines] = {
                "folder": store.folder.name,
                "setting": signature.setting(store.config),
                "workload": signature.digest(signature.workload(store.config)),
                "init": signature.init_label(store.config["init"]),
                "seed": store.config["seed"],
            }
        remembered = {**known[lines]}
        folder = study / remembered.pop("folder")
        if folder not in jobs:
            row = readable(of_study(study).read, folder.name)
            run = None if row is None else from_row(row, folder.name)
            jobs[folder] = Job(job, folder, run=run, **remembered)
    if len(known) > before and not master.dry_run:
        atomic_write(memory, json.dumps(loader.planned).encode())
    return list(jobs.values())


def seconds_left(jobs: Sequence[Job]) -> float | None:
    """Seconds that the jobs to do take one after the other, judging by those that have ended; None if none tells."""
    todo = [job.folder.name for job in jobs if not job.is_complete]
    runs = [job.run for job in jobs if job.run is not None]
    return estimate(runs, [], todo, now=0.0, at_once=1).seconds_left if todo else 0.0


def _inputs(loader: CachingConfigLoader) -> str:
    """A digest of all that decides, beside the overrides, which run a job is."""
    parts: list[object] = [__version__, Path(signature.__file__).read_bytes(), Path(source.__file__).read_bytes()]
    for entry in loader.whole_search_path.get_path():
        folder = Path(str(entry.path).removeprefix("file://"))
        for path in sorted(folder.rglob("*.yaml")) if folder.is_dir() else []:
            content = path.read_bytes()
            parts += [str(path), content]
            parts += [os.environb.get(name) for name in re.findall(rb"oc\.env:\s*(\w+)", content)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _remembered(memory: Path, inputs: str) -> dict[str, Any]:
    """What is known of each job, and the digests of the code that their configs name; empty where either changed."""
    empty: dict[str, Any] = {"inputs": inputs, "sources": {}, "runs": {}}
    content = readable(read_json, memory, _check, "it is made again")
    if content is None or content["inputs"] != inputs:
        return empty
    if any(source.source_digest(name) != was for name, was in content["sources"].items()):
        return empty
    return dict(content)


def _check(content: object) -> None:
    """Raise ValueError for what `plan` has not written."""
    memory = mapping(content, "it")
    if not isinstance(memory.get("inputs"), str):
        raise wrong("inputs", memory.get("inputs"), "text")
    for name, digest in mapping(memory.get("sources"), "sources").items():
        if not isinstance(digest, str | None):
            raise wrong(f"sources.{name}", digest, "text")
    kinds = {"folder": str, "setting": str, "workload": str, "init": str, "seed": object}
    for run in mapping(memory.get("runs"), "runs").values():
        if mapping(run, "a run").keys() != kinds.keys() or not all(isinstance(run[key], kinds[key]) for key in kinds):
            raise wrong("a run", run, f"one with {', '.join(kinds)}")
