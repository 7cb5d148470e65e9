"""One job, alone or in a sweep: skip what is done, run what is not, never let one run stop another."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape

from initbench.config.resolve import resolve
from initbench.console import console, errors
from initbench.diagnostics.schedule import asked_for
from initbench.errors import Unwritable, UserMistake
from initbench.metric import check_margin
from initbench.record.life import refuse
from initbench.record.objective import check_objective, objective
from initbench.record.stopping import stoppable
from initbench.record.store import COMPLETE, Store
from initbench.status.facts import from_record
from initbench.status.view import line


def run_job(config: DictConfig) -> float | None:
    """Run one composed config unless its record is complete; return its objective, which a sweeper may optimize.

    Alone, a config that cannot be run raises UserMistake and a crash its own exception. In a sweep they are
    recorded as refused and as failed, and the sweep goes on.
    """
    hydra: Any = HydraConfig.get()  # a node, not the schema's class
    resolved = resolve(config, hydra)
    check_switches(resolved)
    check_objective(resolved, hydra.sweeper.get("direction"))
    store = Store(resolved)
    record = store.read()
    if resolved["dry_run"]:
        console.print(f"{escape(store.folder.name)}  {'new' if record is None else record['status']}", soft_wrap=True)
        return None
    if record is not None and record["status"] in COMPLETE and not resolved["force"]:
        say(record, "already ")
        if resolved["print_init"]:
            _print_init(store)
        if asked_for(resolved["diagnostics"]) and not (store.folder / "layers.parquet").exists():
            console.print("  it ran without diagnostics; under another study= it runs again, with them", soft_wrap=True)
    else:
        with stoppable():
            record = _run(resolved, hydra.overrides.task, store)
    if HydraConfig.get().mode is RunMode.RUN:
        console.print(f"record: {store.folder}", soft_wrap=True)
    return objective(record, resolved["objective"])


def to_pack(config: dict[str, Any], overrides: Sequence[str], sweeper: DictConfig) -> Store | None:
    """The run that a job is, if it is still to be run and may be part of a pack; None where it speaks for itself.

    Raises UserMistake where the whole sweep cannot be what its user wants.
    """
    try:
        _check(config, overrides)
    except UserMistake:
        return None
    check_objective(config, sweeper.get("direction"))
    store = Store(config)
    is_done = (store.read() or {}).get("status") in COMPLETE and not config["force"]
    return None if is_done else store


def check_switches(config: Mapping[str, Any] | DictConfig) -> None:
    """Raise UserMistake for a word where true or false belongs, as any would count as true, and for an odd margin."""
    for key in ("dry_run", "force", "print_init"):
        if not isinstance(config[key], bool):
            raise UserMistake(f"{key} must be true or false, got {config[key]!r}")
    report = config.get("report")
    if not isinstance(report, Mapping | DictConfig) or set(report) != {"margin", "reference"}:
        raise UserMistake(f"report must have a margin and a reference (either may be null), got {report!r}")
    for key in report:
        if isinstance(report, DictConfig) and OmegaConf.is_missing(report, key):
            raise UserMistake(f"report.{key} has no value")
    if not isinstance(report["reference"], str | None):
        raise UserMistake(f"report.reference must be the name of an initializer, got {report['reference']!r}")
    try:
        check_margin(report["margin"], "report.margin")
    except ValueError as error:
        raise UserMistake(str(error)) from error


def _run(config: dict[str, Any], overrides: Iterable[str], store: Store) -> dict[str, Any]:
    in_sweep = HydraConfig.get().mode is RunMode.MULTIRUN
    try:
        _check(config, overrides)
        with console.status("loading"):
            from initbench.training.run import run  # torch and Lightning take seconds
        record = run(config)
    except UserMistake as mistake:
        if not in_sweep or isinstance(mistake, Unwritable):
            raise
        record = refuse(store, mistake)
    except (Exception, SystemExit):  # whatever a run dies of, the others go on
        if not in_sweep:
            raise
        record = store.read() or {}  # says failed, and holds the traceback
    if record is None:
        console.print(f"{escape(store.name)}  another process is at it", soft_wrap=True)
        return {}
    say(record)
    return record


def _check(config: dict[str, Any], overrides: Iterable[str]) -> None:
    """Raise UserMistake for what can be told from the resolved config, and from what was typed, alone."""
    if missing := sorted(_missing(config)):
        raise UserMistake(f"{missing[0]} has no value yet: give one, {missing[0]}=...")
    for override in overrides:
        key, _, value = override.partition("=")
        group, _, attribute = key.lstrip("+").partition(".")
        # timm and torchvision look a model up by it; everywhere else it would rename a run and choose nothing.
        if attribute == "name" and "architecture" not in config[group]:
            raise UserMistake(f"{group}.name is a label and chooses nothing; did you mean {group}={value}?")


def _missing(value: Any, path: str = "") -> Iterator[str]:
    """What is still to be given, as it would be typed."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _missing(part, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from _missing(part, f"{path}[{place}]")
    elif value == "???":
        yield path


def _print_init(store: Store) -> None:
    from pyarrow import parquet

    from initbench.training.callbacks.init_table import as_table

    console.print(as_table(parquet.read_table(store.folder / "parameters.parquet").to_pylist()), crop=False)


def say(record: dict[str, Any], already: str = "") -> None:
    to = errors if record["status"] in ("failed", "refused") else console
    to.print(line(from_record(record, record["name"]), already), soft_wrap=True)
