"""The files of offline runs of wandb, read by wandb itself; and the config of the logger."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

import initbench
from initbench.logger import RunInfo


def conf(**changes: Any) -> dict[str, Any]:
    return yaml.safe_load((initbench.CONF / "logger" / "wandb.yaml").read_text()) | changes


def folders(run: RunInfo, kind: str = "offline-run") -> list[Path]:
    return sorted((run.folder / "wandb").glob(f"{kind}-*"))


def inspect(folder: Path, *options: str) -> str:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(folder)]
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder).stdout


def records(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What the run's file holds, by the type of the record."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in inspect(folder).splitlines():
        record = json.loads(line)
        found.setdefault(record["type"], []).append(record[record["type"]])
    return found


def rows(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Logged rows without what wandb adds to them."""
    items = [record["item"] for record in history]
    return [{key: value for key, value in item.items() if not key.startswith("_")} for item in items]


def exit_codes(held: dict[str, list[dict[str, Any]]]) -> list[int]:
    """Protobuf leaves out zeros."""
    return [end.get("exit_code", 0) for end in held.get("exit", [])]
