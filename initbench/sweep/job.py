"""One job, alone or in a sweep: skip what is done, run what is not, never let one run stop another."""

import sys
from collections.abc import Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from rich.markup import escape

from initbench.config.check import check, check_parts, check_targets
from initbench.config.resolve import resolve
from initbench.console import console, errors
from initbench.diagnostics.schedule import Schedule
from initbench.errors import Unwritable, UserMistake, explain
from initbench.masking import hide, learn
from initbench.record.damage import readable
from initbench.record.life import refuse
from initbench.record.objective import check_objective, objective
from initbench.record.plain import PlainConfig, Record
from initbench.record.stopping import stoppable
from initbench.record.store import COMPLETE, Store, check_writable, left_alone, read_table
from initbench.status.facts import from_record
from initbench.status.line import line
from initbench.wording import visible


def run_job(config: DictConfig) -> float | None:
    """Run one composed config unless its record is complete; return its objective, which a sweeper may optimize.

    Alone, a config that cannot be run raises UserMistake and a crash its own exception. In a sweep they are
    recorded as refused and as failed, and the sweep goes on.
    """
    hydra: Any = HydraConfig.get()  # a node, not the schema's class
    try:
        resolved = resolve(config, hydra)
    except OmegaConfBaseException as error:
        raise UserMistake(explain(error)) from error
    learn(resolved)
    try:
        typed = check(resolved, hydra.overrides.task)
        if typed.dry_run:
            check_writable(typed.runs_dir)
            check_targets(resolved)
            check_parts(resolved)
    except UserMistake as mistake:
        if HydraConfig.get().mode is RunMode.RUN:
            raise
        _pass_over(Store(resolved), mistake)
        return None
    if typed.until is not None and hydra.mode is RunMode.RUN:
        raise UserMistake(f"until={typed.until} adds seeds to a sweep, and this is one run: -m init=...,... until=sure")
    check_objective(typed, hydra.sweeper.get("direction"))
    store = Store(resolved)
    if left_alone(store.folder):
        if HydraConfig.get().mode is RunMode.RUN:
            sys.exit(2)
        return None  # the sweep's end counts it
    record = store.read()
    if typed.dry_run:
        console.print(
            f"{escape(store.folder.name)}  {'new' if record is None else escape(record['status'])}", soft_wrap=True
        )
        return None
    if record is not None and record["status"] in COMPLETE and not typed.force:
        say(record, "already ")
        if typed.print_init:
            _print_init(store)
        if Schedule(typed.diagnostics) and not (store.folder / "layers.parquet").exists():
            console.print("  it ran without diagnostics; another study= runs it again with them", soft_wrap=True)
        elif typed.diagnostics.curvature and not record["config"]["diagnostics"].get("curvature"):
            console.print("  it ran without the curvature; another study= runs it again with it", soft_wrap=True)
    else:
        with stoppable():
            record = _run(store)
    if HydraConfig.get().mode is RunMode.RUN:
        console.print(visible(f"record: {store.folder}"), soft_wrap=True, markup=False)
    return objective(record, typed.objective)


def to_pack(config: PlainConfig, overrides: Sequence[str], sweeper: DictConfig) -> Store | None:
    """The run that a job is, if it is still to be run and may be part of a pack; None where it speaks for itself.

    Raises UserMistake where the whole sweep cannot be what its user wants.
    """
    try:
        typed = check(config, overrides)
    except UserMistake:
        return None
    check_objective(typed, sweeper.get("direction"))
    store = Store(config)
    is_done = (store.read() or {}).get("status") in COMPLETE and not typed.force
    return None if is_done or left_alone(store.folder) else store


def _run(store: Store) -> Record:
    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    try:
        with console.status("loading"):
            from initbench.training.run import run  # torch and Lightning take seconds
        record = run(store.config)
    except UserMistake as mistake:
        if not in_sweep or isinstance(mistake, Unwritable):
            raise
        record = refuse(store, mistake)
    except (Exception, SystemExit):  # whatever a run dies of, the others go on
        if not in_sweep:
            raise
        record = store.read() or {}  # says failed, and holds the traceback
    if record is None:
        console.print(f"{escape(store.name)}  another process is training it", soft_wrap=True)
        return {}
    say(record)
    return record


def _pass_over(store: Store, mistake: UserMistake) -> None:
    """Record that a job of a sweep cannot be run; a dry run only says so."""
    if store.config["dry_run"]:
        console.print(
            f"{escape(store.folder.name)}  would be refused: {escape(visible(hide(str(mistake))))}", soft_wrap=True
        )
    elif (record := refuse(store, mistake)) is not None:
        say(record)


def _print_init(store: Store) -> None:
    from initbench.training.init_table import as_table

    if (table := readable(read_table, store.folder, "parameters")) is not None:
        console.print(as_table(table.to_pylist()))


def say(record: Record, already: str = "") -> None:
    to = errors if record["status"] in ("failed", "refused") else console
    to.print(line(from_record(record, record["name"]), already), soft_wrap=True)
