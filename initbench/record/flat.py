"""One record as one flat row: the columns of the frame of runs, what status shows, and wandb's summary."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from initbench.record.metric import metric_of
from initbench.record.plain import Row
from initbench.record.signature import digest, seeds_apart, workload
from initbench.wording import visible


def numbers(record: Mapping[str, Any]) -> dict[str, float | None]:
    """What came out: results, steps and seconds to each target (None where it was not reached), timings."""
    row = dict(record.get("results", {}))
    for target, time in record.get("targets", {}).items():
        row[f"steps_to_{target}"] = time["steps"] if time["reached"] else None
        row[f"seconds_to_{target}"] = time["seconds"] if time["reached"] else None
    for key in ("steps", "seconds_init", "seconds_train", "seconds_compile", "seconds_diagnostics"):
        row[key] = record.get(key)
    return row


# What status shows and the frame of runs does not have.
OF_STATUS = ("name", "attempt", "resumed_at", "reason_line")


def flat(record: Mapping[str, Any]) -> Row:
    """What was run, what became of it, and its numbers. In texts no character controls a terminal or a page."""
    config, provenance = record["config"], record.get("provenance", {})
    metric, resumed = metric_of(record), record.get("resumed_at", [])
    row = {
        "study": record["study"],
        "init": record["init"],
        "init_source": config.get("source", {}).get("init"),
        "model": _single(config["model"]["name"]),
        "data": _single(config["data"]["name"]),
        "optimizer": _single(config["optimizer"]["name"]),
        "lr": _single(config["optimizer"].get("lr")),
        "seed": _single(record["seed"]),
        "seeds": seeds_apart(config) or None,
        "budget": record.get("total_steps"),
        "val_every_n_steps": _count(config["data"].get("val_every_n_steps")),
        "status": record["status"],
        "sweep": record.get("sweep"),
        "reason": record.get("reason"),
        "setting": record["setting"],
        "workload_id": _digest(json.dumps(what := workload(config))),
        "workload_config": what,
        "signature": record["signature"],
        "started_at": record.get("started_at"),
        "finished_at": record.get("finished_at"),
        "resumed": len(resumed),
        "host": provenance.get("hostname"),
        "tuning_seeds": (config.get("tuning") or {}).get("seeds", []),
        "metric": metric,
        "chance": None if metric is None else metric.chance,
        **_seen(record.get("targets", {})),
        "device": record.get("device"),
        "replicas": record.get("replicas", 1),
        "processor": provenance.get("processor"),
        "torch": provenance.get("versions", {}).get("torch"),
        "commit": (provenance.get("git") or {}).get("commit"),
        "command": provenance.get("command"),
        "run_command": config.get("command"),
        "name": record["name"],
        "attempt": record.get("attempt"),
        "resumed_at": resumed[-1] if resumed else None,
        "reason_line": (record.get("reason") or "").partition("\n")[0] or None,
    }
    row |= {key: value for key, value in numbers(record).items() if key not in row}
    return {key: visible(value) if isinstance(value, str) else value for key, value in row.items()}


@lru_cache(maxsize=1024)  # most runs of a study share their workload, and this takes half of the time of `flat`
def _digest(text: str) -> str:
    return digest(json.loads(text))


def _single(value: Any) -> Any:
    """What groups rows: of a run that was refused for a list where one value belongs, the words."""
    return str(value) if isinstance(value, list | dict) else value


def _count(value: Any) -> Any:
    """None of a run that was refused for what is no number."""
    return value if isinstance(value, int | float) else None


def _seen(targets: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Until when a run was seen not to reach what it never reached; the same for all such targets."""
    missed = next((time for time in targets.values() if not time["reached"]), None)
    return {f"{clock}_seen": None if missed is None else missed[clock] for clock in ("steps", "seconds")}
