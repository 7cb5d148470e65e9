"""One job, alone or in a sweep: skip what is done, run what is not, never let one run stop another."""

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.markup import escape

from initbench.config.resolve import resolve
from initbench.console import console, errors
from initbench.diagnostics.schedule import asked_for
from initbench.errors import Unwritable, UserMistake, unknown
from initbench.metric import check_margin
from initbench.record.convergence import convergence, time_to_targets
from initbench.record.damage import readable
from initbench.record.flat import numbers
from initbench.record.lock import lock
from initbench.record.stopping import stoppable
from initbench.record.store import COMPLETE, Store, left_alone, now, read_table
from initbench.status.facts import chosen_lr

STYLES = {"finished": "green", "diverged": "yellow", "refused": "yellow", "failed": "red", "interrupted": "yellow"}


def run_job(config: DictConfig) -> float | None:
    """Run one composed config unless its record is complete; return its objective, which a sweeper may optimize.

    Alone, a config that cannot be run raises UserMistake and a crash its own exception. In a sweep they are
    recorded as refused and as failed, and the sweep goes on.
    """
    hydra: Any = HydraConfig.get()  # a node, not the schema's class
    resolved = resolve(config, hydra)
    check_switches(resolved)
    _check_objective(resolved, hydra.sweeper)
    store = Store(resolved)
    if left_alone(store.folder):
        if HydraConfig.get().mode is RunMode.RUN:
            sys.exit(2)
        return None  # the sweep's end counts it
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


def packable(config: dict[str, Any], overrides: Sequence[str], sweeper: DictConfig) -> bool:
    """Whether a job, resolved, is still to be run, and may be part of a pack; where not, it speaks for itself.

    Raises UserMistake where the whole sweep cannot be what its user wants.
    """
    try:
        _check(config, overrides)
    except UserMistake:
        return False
    _check_objective(config, sweeper)
    store = Store(config)
    if left_alone(store.folder):
        return False
    return config["force"] or (store.read() or {}).get("status") not in COMPLETE


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
        record = _refuse(store, mistake)
    except (Exception, SystemExit):  # whatever a run dies of, the others go on
        if not in_sweep:
            raise
        record = store.read() or {}  # says failed, and holds the traceback
    if record is None:
        console.print(f"{escape(store.name)}  another process is at it", soft_wrap=True)
        return {}
    say(record)
    return record


def _refuse(store: Store, mistake: UserMistake) -> dict[str, Any] | None:
    """The record that says so; None where another process is at the run, which it has not refused."""
    with lock(store.folder) as mine:
        before = store.read() or {}
        if not mine:
            return None
        if before.get("status") in COMPLETE and not store.config["force"]:
            return before
        # These belong to an earlier attempt, which goes on when the mistake is mended, or anew, if it had crashed.
        kept = {key: before[key] for key in ("attempt", "resumed_at", "traceback") if key in before}
        times = {"started_at": before.get("started_at", now()), "finished_at": now()}
        return store.write("refused", **kept, **times, reason=str(mistake))


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


def _check_objective(config: dict[str, Any], sweeper: DictConfig) -> None:
    """Raise UserMistake unless records will hold the objective, and a sweeper that optimizes looks for good runs."""
    name = config["objective"]
    results = [*convergence([{"step": 0, "val/accuracy": 0.0, "val/loss": 0.0}], num_classes=2)]
    results += [f"{stage}/{metric}" for stage in ("train", "test") for metric in ("loss", "accuracy")]
    targets = time_to_targets([], config["data"].get("targets", []), seconds_init=0.0, reason="")
    allowed = list(numbers({"results": dict.fromkeys(results), "targets": targets}))
    if name not in allowed:
        raise UserMistake(str(unknown("objective", name, allowed)))
    direction = sweeper.get("direction")  # an enumeration's, where nobody has typed it
    wanted = "maximize" if "accuracy" in name else "minimize"
    if direction is not None and getattr(direction, "name", direction) != wanted:
        raise UserMistake(f"the best {name} is not what this sweep looks for: add hydra.sweeper.direction={wanted}")


def objective(record: dict[str, Any], name: str) -> float | None:
    """For a run that diverged or never reached the target the worst value; None for one that did not end."""
    if record.get("status") not in COMPLETE:
        return None
    value = numbers(record).get(name)
    if value is None or record["status"] == "diverged":
        return 0.0 if "accuracy" in name else math.inf
    return float(value)


def _print_init(store: Store) -> None:
    from initbench.training.callbacks.init_table import as_table

    if (table := readable(read_table, store.folder, "parameters")) is not None:
        console.print(as_table(table.to_pylist()), crop=False)


def say(record: dict[str, Any], already: str = "") -> None:
    status = record["status"]
    to = errors if status in ("failed", "refused") else console
    results = record.get("results", {})
    facts = [f"[{STYLES.get(status, 'none')}]{already}{status}[/]"]
    if (rate := chosen_lr(record["config"])) is not None:
        facts.append(f"lr {rate:g}")
    if results.get("test/accuracy") is not None:
        facts.append(f"test accuracy {results['test/accuracy']:.4f}")
    if record.get("seconds_train") is not None:
        facts.append(f"{record['seconds_train']:.1f} s")
    if record.get("reason"):
        facts.append(escape(record["reason"].split("\n")[0]))
    to.print(f"{escape(record['name'])}  {'  '.join(facts)}", soft_wrap=True)
