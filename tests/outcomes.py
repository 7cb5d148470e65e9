"""What a finished run leaves, without what no second run repeats: times, attempts, machine."""

import json
from pathlib import Path
from typing import Any

from pyarrow import parquet

REPEATABLE = ("status", "reason", "name", "signature", "results", "steps", "initial_weights", "init_numbers", "config")

# What a config says of where and how a run is kept, and not of what is run.
_HOW = ("runs_dir", "study", "checkpoint_seconds", "force", "command")


def outcome(folder: Path) -> dict[str, Any]:
    """Everything in a run's folder that the same config and seed must give again, bit for bit."""
    record = json.loads((folder / "record.json").read_text())
    tables = {path.name: parquet.read_table(path).to_pylist() for path in sorted(folder.glob("*.parquet"))}
    for row in tables.get("history.parquet", []):
        del row["seconds"]
    targets = {name: (time["reached"], time["steps"], time["reason"]) for name, time in record["targets"].items()}
    config = {key: value for key, value in record["config"].items() if key not in _HOW}
    return {
        **{key: record[key] for key in REPEATABLE},
        "config": config,
        "targets": targets,
        "diagnostics": record["diagnostics"],
        "tables": str(tables),  # in which one NaN is like another
    }


def outcomes(study: Path) -> dict[str, dict[str, Any]]:
    """Those of all runs of a study, by folder."""
    return {path.parent.name: outcome(path.parent) for path in sorted(study.glob("*/record.json"))}
