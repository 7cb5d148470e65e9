"""Which runs may be trained as one, as far as their configs say, and which of them make a pack. Imports no torch."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import yaml

from initbench import CONF
from initbench.record.lock import is_held
from initbench.record.signature import digest
from initbench.record.store import COMPLETE, Store, read_record

Config = dict[str, Any]  # resolved

# Their rule is elementwise: a stack of parameters is stepped as each would be.
OPTIMIZERS = tuple(f"torch.optim.{name}" for name in ("SGD", "Adam", "AdamW"))
PRECISIONS = ("32-true", "64-true")


def obstacle(config: Mapping[str, Any]) -> str | None:
    """Why a run has to be trained by itself, as far as its config says; None where nothing does."""
    trainer, optimizer = config["trainer"], config["optimizer"]
    if optimizer.get("_target_") not in OPTIMIZERS:
        return f"optimizer {optimizer.get('name')}"
    if config["diagnostics"]["name"] != "none":
        return "diagnostics"
    if config["print_init"]:
        return "print_init"
    if trainer["devices"] != 1:
        return f"trainer.devices={trainer['devices']}"
    if trainer["compile"]:
        return "trainer.compile"
    if unknown := [key for key, is_known in _known(trainer).items() if not is_known]:
        return f"trainer.{unknown[0]}={trainer[unknown[0]]}"
    if added := sorted(set(trainer) - _usual_trainer_keys()):
        return f"trainer.{added[0]}"
    if Store(dict(config)).checkpoint.exists() and not config["force"]:
        return "a checkpoint of its own"
    return None


def _known(trainer: Mapping[str, Any]) -> dict[str, bool]:
    """Whether a value is one that packs know. With others a run is what Lightning makes of them, or says why not."""
    clip, log_every = trainer["gradient_clip_val"], trainer["log_every_n_steps"]
    return {
        "accelerator": trainer["accelerator"] in ("auto", "cpu", "gpu"),
        "deterministic": type(trainer["deterministic"]) is bool,
        "gradient_clip_val": clip is None or (type(clip) in (int, float) and clip > 0),
        "log_every_n_steps": type(log_every) is int and log_every > 0,
        "on_oom": trainer["on_oom"] in ("fail", "halve"),
        "precision": trainer["precision"] in PRECISIONS,
    }


def kind(config: Mapping[str, Any]) -> str:
    """Equal for runs that differ in initializer, seed and learning rate alone, so that they can be trained together."""
    part = {key: value for key, value in config.items() if key not in ("init", "seed", "command")}
    part["optimizer"] = {key: value for key, value in config["optimizer"].items() if key != "lr"}
    return digest(part)


def arrange(configs: Sequence[Config], most: int, slots: int) -> list[list[Config]]:
    """Packs of runs of one kind, none larger than `most`, as many as keep `slots` busy, of nearly the same size.

    What is under way goes on as the pack that it was. In the others runs of one learning rate, and then of one seed,
    are neighbours, so that they share their batches.
    """
    packs = under_way(configs)
    taken = {id(config) for pack in packs for config in pack}
    rest = sorted((config for config in configs if id(config) not in taken), key=_shared)
    if not rest:
        return packs
    count = min(len(rest), math.ceil(len(rest) / most / slots) * slots)
    blocks = [list(block) for _, block in groupby(rest, key=_shared)]
    if len(blocks) % count == 0 and len({len(block) for block in blocks}) == 1:
        each = len(blocks) // count
        return packs + [list(chain(*blocks[first : first + each])) for first in range(0, len(blocks), each)]
    return packs + [rest[first::count] for first in range(count)]  # dealt out, each gets its share of every block


def roster(checkpoint: Path) -> Path:
    """Where the names of the runs of a pack are, beside its checkpoint."""
    return checkpoint.with_suffix(".json")


def under_way(configs: Sequence[Config]) -> list[list[Config]]:
    """The packs that have a checkpoint, all of whose runs are among these. Those that can go on no more are removed."""
    by_name = {Store(config).folder.name: config for config in configs}
    study = Path(configs[0]["runs_dir"]) / configs[0]["study"]
    packs = []
    for path in [] if configs[0]["force"] else sorted(study.glob(".packs/*.ckpt")):
        if not roster(path).exists():
            continue
        names = json.loads(roster(path).read_text())["runs"]
        if all(name in by_name for name in names):
            packs.append([by_name.pop(name) for name in names])
        elif any(_is_complete(study / name) for name in names) and not any(is_held(study / name) for name in names):
            path.unlink(missing_ok=True)
            roster(path).unlink(missing_ok=True)
    return packs


def _is_complete(folder: Path) -> bool:
    return (read_record(folder) or {}).get("status") in COMPLETE


def _shared(config: Config) -> tuple[float, int]:
    return config["optimizer"]["lr"], config["seed"]


@cache
def _usual_trainer_keys() -> frozenset[str]:
    return frozenset(yaml.safe_load((CONF / "trainer" / "default.yaml").read_text()))
