"""How fast packs of a model train, as measured on this machine: kept for all sweeps in the user's cache folder."""

import json
import platform
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import Any

from initbench.cache import cache_folder
from initbench.errors import Unwritable
from initbench.record.damage import mapping, read_json, readable, wrong
from initbench.record.signature import digest
from initbench.record.store import atomic_write
from initbench.workers.cores import cores

WORTH_IT = 1.1  # times as fast

# What decides how long a step takes, beside the machine.
_TRAINER = ("accelerator", "channels_last", "deterministic", "float32_matmul_precision", "precision", "threads")


@dataclass
class Steps:
    """Seconds of a step of one model, trained alone, and in a pack of so many, where it is a part of the pack's."""

    alone: float = 0.0
    packed: dict[int, float] = field(default_factory=dict)
    obstacle: str | None = None  # why it cannot be packed


@dataclass(frozen=True)
class Speed:
    """The number of replicas at which a pack is fastest, 0 where a run alone is as fast; and why, in words."""

    replicas: int
    why: str = ""


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
            "machine": [platform.node(), cores(), version("torch")],
        }
    )


def choose(measured: Sequence[Steps]) -> Speed:
    """The fastest pack, from what all slots measured."""
    if obstacle := next((steps.obstacle for steps in measured if steps.obstacle), None):
        return Speed(0, obstacle)
    alone = fmean(steps.alone for steps in measured)
    sizes = set.intersection(*(set(steps.packed) for steps in measured))
    packed = {size: fmean(steps.packed[size] for steps in measured) for size in sizes}
    best = min(packed, key=lambda size: packed[size], default=0)
    if not best or alone / packed[best] < WORTH_IT:
        return Speed(0, f"a step takes {_time(alone)}, no less in a pack")
    return Speed(best, f"a step takes {_time(packed[best])} per run, alone {_time(alone)}")


def _time(seconds: float) -> str:
    """`0.59 ms`, `1.6 ms`, `500 ms`, `1.2 s`."""
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    milliseconds = 1e3 * seconds
    digits = 0 if milliseconds >= 9.95 else 1 if milliseconds >= 0.995 else 2
    return f"{milliseconds:.{digits}f} ms"


def remembered(config: Mapping[str, Any], slot: Mapping[str, str]) -> Speed | None:
    """What was measured for runs whose steps take as long, None where nothing was."""
    found = _read().get(family(config, slot))
    return None if found is None else Speed(**found)


def remember(config: Mapping[str, Any], slot: Mapping[str, str], speed: Speed) -> None:
    """If the cache cannot be written, every sweep measures again."""
    path = _path()
    if path is not None:
        with suppress(Unwritable):  # then it is measured again next time
            atomic_write(path, json.dumps({**_read(), family(config, slot): asdict(speed)}, indent=1).encode())


def _read() -> dict[str, dict[str, Any]]:
    path = _path()
    return (None if path is None else readable(read_json, path, _check, "it is measured again")) or {}


def _check(content: object) -> None:
    """Raise ValueError for what `remember` has not written."""
    for speed in mapping(content, "it").values():
        is_one = mapping(speed, "a speed").keys() == {"replicas", "why"}
        if not is_one or type(speed["replicas"]) is not int or not isinstance(speed["why"], str):
            raise wrong("a speed", speed, "replicas and why")


def _path() -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / "speed.json"
