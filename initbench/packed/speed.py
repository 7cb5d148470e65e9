"""What has been measured on this machine, remembered for all sweeps in the user's cache: `initbench/speed.json`."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from initbench.cache import cache_folder
from initbench.errors import Unwritable
from initbench.packed.messages import Steps
from initbench.record.damage import mapping, read_json, readable, wrong
from initbench.record.signature import digest
from initbench.record.store import atomic_write

WORTH_IT = 1.1  # times as fast

# What decides how long a step takes, beside the machine.
_TRAINER = ("accelerator", "channels_last", "deterministic", "float32_matmul_precision", "precision", "threads")


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


def choose(measured: Sequence[Steps]) -> dict[str, Any]:
    """`replicas` of the fastest pack, 0 where a run alone is as fast, and `why`; from what all slots measured."""
    if obstacle := next((steps.obstacle for steps in measured if steps.obstacle), None):
        return {"replicas": 0, "why": obstacle}
    alone = fmean(steps.alone for steps in measured)
    sizes = set.intersection(*(set(steps.packed) for steps in measured))
    packed = {size: fmean(steps.packed[size] for steps in measured) for size in sizes}
    best = min(packed, key=lambda size: packed[size], default=0)
    if not best or alone / packed[best] < WORTH_IT:
        return {"replicas": 0, "why": f"a step of {1e3 * alone:.3g} ms is no faster in a pack"}
    return {"replicas": best, "why": f"{1e3 * alone:.2g} ms a step alone, {1e3 * packed[best]:.2g} ms as one of {best}"}


def remembered() -> dict[str, dict[str, Any]]:
    """By family: `replicas` and `why`."""
    path = _path()
    found = None if path is None else readable(read_json, path, _check, "it is measured again")
    return found or {}


def _check(content: object) -> None:
    """Raise ValueError for what `remember` has not written."""
    for pace in mapping(content, "it").values():
        if type(mapping(pace, "a speed").get("replicas")) is not int or not isinstance(pace.get("why"), str):
            raise wrong("a speed", pace, "replicas and why")


def remember(of: str, pace: Mapping[str, Any]) -> None:
    """Where nothing can be kept, each sweep measures anew."""
    path = _path()
    if path is not None:
        with suppress(Unwritable):
            atomic_write(path, json.dumps({**remembered(), of: pace}, indent=1).encode())


def _path() -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "speed.json"
