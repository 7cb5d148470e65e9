"""One record as one flat row: the columns of the frame of runs, and wandb's summary."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def numbers(record: Mapping[str, Any]) -> dict[str, float | None]:
    """What came out: results, steps and seconds to each target (None where it was not reached), timings."""
    row = dict(record.get("results", {}))
    for target, time in record.get("targets", {}).items():
        row[f"steps_to_{target}"] = time["steps"] if time["reached"] else None
        row[f"seconds_to_{target}"] = time["seconds"] if time["reached"] else None
    for key in ("steps", "seconds_init", "seconds_train", "seconds_diagnostics"):
        row[key] = record.get(key)
    return row


def flat(record: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """What was run, what became of it, and its numbers."""
    config = record["config"]
    return {
        "study": record["study"],
        "init": record["init"],
        "model": config["model"]["name"],
        "data": config["data"]["name"],
        "optimizer": config["optimizer"]["name"],
        "lr": config["optimizer"].get("lr"),
        "seed": record["seed"],
        "budget": record.get("total_steps"),
        "status": record["status"],
        "reason": record.get("reason"),
        "setting": record["setting"],
        "signature": record["signature"],
        "path": str(path),
        "started_at": record.get("started_at"),
        "finished_at": record.get("finished_at"),
        **numbers(record),
    }
