"""What has been measured on this machine, remembered for all sweeps: `~/.cache/initbench/paces.json`."""

import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from initbench.record.signature import digest
from initbench.record.store import atomic_write

# What decides how long a step takes, beside the machine.
_TRAINER = ("accelerator", "channels_last", "deterministic", "precision", "threads")


def family(config: Mapping[str, Any], slot: Mapping[str, str]) -> str:
    """Equal for runs whose steps take as long. `slot`: the environment of the processes that train."""
    data = {key: config["data"][key] for key in ("_target_", "name", "batch_size", "crop_padding", "cutout", "flip")}
    return digest(
        {
            "model": config["model"],
            "data": data,
            "optimizer": config["optimizer"]["_target_"],
            "trainer": {key: config["trainer"][key] for key in _TRAINER},
            "slot": {key: value for key, value in slot.items() if key != "CUDA_VISIBLE_DEVICES" or not value},
            "machine": [platform.node(), os.cpu_count(), version("torch")],
        }
    )


def remembered() -> dict[str, dict[str, Any]]:
    """By family: `replicas` and `why`."""
    try:
        found: dict[str, dict[str, Any]] = json.loads(_path().read_text())
    except (OSError, ValueError):
        return {}
    return found


def remember(of: str, pace: Mapping[str, Any]) -> None:
    """Of a machine where nothing can be kept, each sweep measures anew."""
    try:
        atomic_write(_path(), json.dumps({**remembered(), of: pace}, indent=1).encode())
    except OSError:
        return


def _path() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "initbench" / "paces.json"
