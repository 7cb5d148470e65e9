"""Runs of a Weights & Biases project as local records, for runs made on other machines."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from initbench.analysis.loading.frame import load_runs
from initbench.analysis.loading.wandb_table import wandb_table
from initbench.console import console
from initbench.metric import ACCURACY, Metric
from initbench.record.convergence import convergence, targets_in, time_to_targets
from initbench.record.damage import readable
from initbench.record.metric import check_metric
from initbench.record.plain import PlainConfig, Record, Row
from initbench.record.store import COMPLETE, Store, read_record
from initbench.wandb_client import Unavailable, connected, split_path
from initbench.wording import count

_STEP = "trainer/global_step"
_NEEDED = ("init.name", "model.name", "data.name", "optimizer.name", "scheduler.name", "trainer.name", "seed", "study")
# The status of a run that did not send one, by wandb's state. "finished" is not here: its results are not known.
_STATUS = {"running": "running", "pending": "running", "killed": "interrupted", "preempted": "interrupted"}
_FINAL = ("finished", "crashed", "failed", "killed")  # states in which a run sends nothing more


def load_wandb(
    path: str,
    filters: Mapping[str, Any] | None = None,
    folder: str | Path | None = None,
    *,
    score: str | None = None,
    init: str = "init",
    seed: str = "seed",
    workload: str | Sequence[str] = (),
) -> pd.DataFrame:
    """The runs of "entity/project" on Weights & Biases as a frame; `filters` as in wandb's API.

    For runs that initbench did not make: name the summary metric by `score`, and keys of their configs by `init`,
    `seed` and `workload`. The frame has these columns, for `initbench.verdict(frame, score=...)`; nothing is written.
    See `loading.wandb_table`.

    For runs that initbench logged there: the frame of `load_runs`.

    Each is written as a record, `<folder>/<name>-<signature>/` with record.json and history.parquet; `folder` is
    `runs/wandb-<project>` unless given. A second call downloads only what is new or had not ended. If there are several
    attempts at one config, the latest that ended counts; a record made on this machine is left as it is.

    Histories are complete, not sampled. They have no `seconds` and no `epoch`: wandb only knows the time since a run
    began, which includes evaluations and uploads. seconds_init, seconds_train and seconds_to_<target> are the run's
    own, from its summary; a target that was not reached counts as watched until seconds_init + seconds_train.
    started_at and finished_at are wandb's: when the run was created, and when it was last heard from. What a run did
    not send is missing: versions, hardware, and the budget of a run that did not finish.

    Raises ValueError, in one line, if `path` is not "entity/project", or without a key, a network or the project.
    """
    _, project = split_path(path)
    if score is not None:
        names = [workload] if isinstance(workload, str) else list(workload)
        return wandb_table(path, filters, score=score, init=init, seed=seed, workload=names)
    target = Path(folder if folder is not None else Path("runs") / f"wandb-{project}")
    held = _Held.read(target)
    skipped = 0
    with connected() as api:
        try:
            runs = [run for run in api.runs(path, dict(filters or {})) if run.job_type != "summary"]
        except ValueError as error:
            raise Unavailable(f"there is no project {path!r}, or your API key may not read it") from error
        wanted = [run for run in runs if not held.has(run)]
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            for run in progress.track(wanted, description=f"runs of {path}"):
                if all(key in run.config for key in _NEEDED):
                    _fetch(run, target, held)
                else:
                    skipped += 1
    if skipped:
        console.print(f"skipped {skipped} of {count(len(runs), 'run')} of {path}: not made by initbench", markup=False)
    target.mkdir(parents=True, exist_ok=True)
    return load_runs(target)


@dataclass
class _Held:
    """The local records by folder, and the state that each run of wandb had when it was written into one of them."""

    records: dict[Path, Record] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "_Held":
        held = cls()
        for file in sorted(folder.glob("*/record.json")):
            if (record := readable(read_record, file.parent)) is not None:
                held.add(file.parent, record)
        return held

    def add(self, folder: Path, record: Record) -> None:
        self.records[folder] = record
        self.states |= record.get("wandb", {}).get("attempts", {})

    def has(self, run: Any) -> bool:
        return run.state in _FINAL and self.states.get(run.id) == run.state


def _fetch(run: Any, target: Path, held: _Held) -> None:
    """Write the record of `run`, unless there is a better one of the same config, which then only notes the attempt."""
    store = Store(nested(run.config))
    store.folder = target / f"{store.name}-{store.signature}"
    before = held.records.get(store.folder)
    if before and "wandb" not in before:
        return
    summary = dict(run.summary_metrics)
    status = summary.get("status") or _STATUS.get(run.state, "failed")
    origin = {"path": "/".join(run.path), "id": run.id, "state": run.state}
    attempts = {**(before or {}).get("wandb", {}).get("attempts", {}), run.id: run.state}
    if before and before["wandb"]["id"] != run.id and _rank(before) > (status in COMPLETE, _time(run.created_at)):
        parts = {key: value for key, value in before.items() if key not in _OF_STORE}
        wandb = {**before["wandb"], "attempts": attempts}
        held.add(store.folder, store.write(before["status"], **{**parts, "wandb": wandb}))
        return
    rows = history(run.scan_history(use_cache=False))  # a cached file may predate the end of the run
    store.write_table("history", rows)
    parts = _parts(run, store.config, summary, status, rows)
    held.add(store.folder, store.write(status, **parts, wandb={**origin, "attempts": attempts}))


_OF_STORE = ("schema", "status", "study", "name", "signature", "setting", "init", "seed", "config")


def _rank(record: Mapping[str, Any]) -> tuple[bool, str]:
    return record["status"] in COMPLETE, record["started_at"]


def _parts(run: Any, config: Mapping[str, Any], summary: Mapping[str, Any], status: str, rows: list[Row]) -> Record:
    """What `initbench.training.run` adds to the config in a record, as far as wandb has it."""
    attempt = run.id.rpartition("-")[2]  # the logger's ids are <signature>-<folder>-<attempt>
    parts = {
        "attempt": int(attempt) if attempt.isdecimal() else 1,
        "started_at": _time(run.created_at),
        "resumed_at": [],
        "finished_at": _time(run.heartbeat_at or run.created_at),
    }
    if status not in COMPLETE:
        reason = None if status == "running" else f"on wandb its state is {run.state!r}"
        return {**parts, "reason": reason}
    kinds = ("init", "train", "compile", "diagnostics")
    seconds = {f"seconds_{kind}": _number(summary.get(f"seconds_{kind}")) for kind in kinds}
    at_end = (seconds["seconds_init"] or 0.0) + (seconds["seconds_train"] or 0.0)
    untimed = [{**row, "seconds": 0.0} for row in rows]
    metric = _metric(summary)
    times = time_to_targets(
        untimed, targets_in(config), metric, seconds_init=0.0, reason="budget" if status == "finished" else status
    )
    for target, time in times.items():
        time["seconds"] = _number(summary.get(f"seconds_to_{target}")) if time["reached"] else at_end
    last = {key: row[key] for row in rows for key in ("train/loss", f"train/{metric.name}") if key in row}
    steps = rows[-1]["step"] if rows else 0
    return {
        **parts,
        "metric": asdict(metric),
        "reason": summary.get("reason"),
        "results": {
            "chance_loss": _number(summary.get("chance_loss")),
            **convergence(rows, metric),
            **last,
            **{key: _number(value) for key, value in summary.items() if key.startswith("test/")},
        },
        "targets": times,
        "steps": steps,
        "total_steps": _number(summary.get("total_steps")),
        **seconds,
    }


def _metric(summary: Mapping[str, Any]) -> Metric:
    """By what a run was judged, as `initbench.record.life.log_summary` sent it."""
    try:
        known = dict(summary["metric"])
        check_metric(known)
    except (KeyError, TypeError, ValueError):  # sent by an earlier initbench, which trained classifiers
        ln_classes = _number(summary.get("ln_classes"))
        return ACCURACY.at_chance(None if ln_classes is None else math.exp(-ln_classes))
    return Metric(**known)


def nested(flat: Mapping[str, Any]) -> PlainConfig:
    """The config of dotted keys: `{"init.gain": 2}` becomes `{"init": {"gain": 2}}`."""
    config: PlainConfig = {}
    for dotted, value in flat.items():
        *groups, key = dotted.split(".")
        place = config
        for group in groups:
            place = place.setdefault(group, {})
        place[key] = value
    return config


def history(logged: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows as `initbench.training.callbacks.history` writes them, from the rows that wandb has for a run.

    One row per step, in order: wandb has one per call of the logger, so training and validation come separately. A
    value that was logged twice, because the run resumed from an earlier checkpoint, counts as it was logged last.
    """
    rows: dict[int, Row] = {}
    for line in logged:
        if (step := line.get(_STEP)) is None:
            continue
        values = {key: _number(value) for key, value in line.items() if key != _STEP and not key.startswith("_")}
        rows.setdefault(int(step), {"step": int(step)}).update(
            {key: value for key, value in values.items() if value is not None}
        )
    return [rows[step] for step in sorted(rows)]


def _number(value: Any) -> float | None:
    """A value as a number; wandb writes "NaN" and "Infinity" as text. None for anything else, such as a picture."""
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _time(moment: str) -> str:
    parsed = datetime.fromisoformat(moment)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC).isoformat(timespec="seconds")
