"""Which runs may be trained as one, as far as their configs say, and which of them make a pack. Imports no torch."""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain, groupby
from typing import Any

import yaml

from initbench.diagnostics.schedule import asked_for
from initbench.record.signature import digest, shared_source
from initbench.record.store import Store
from initbench.registry import CONF

Config = dict[str, Any]  # resolved

# Their rule is elementwise: a stack of parameters is stepped as each would be.
OPTIMIZERS = tuple(f"torch.optim.{name}" for name in ("SGD", "Adam", "AdamW"))
PRECISIONS = ("32-true", "64-true")


def obstacle(config: Mapping[str, Any]) -> str | None:
    """Why a run has to be trained by itself, as far as its config says; None where nothing does."""
    trainer, optimizer = config["trainer"], config["optimizer"]
    if missing := sorted(_usual_trainer_keys() - set(trainer)):
        return f"no trainer.{missing[0]}"
    if optimizer.get("_target_") not in OPTIMIZERS:
        return f"optimizer {optimizer.get('name')}"
    if asked_for(config["diagnostics"]):
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
    if type(config["seed"]) is not int:
        return f"seed={config['seed']}"
    if type(optimizer["lr"]) not in (int, float):
        return f"optimizer.lr={optimizer['lr']}"
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
    part = {key: value for key, value in config.items() if key not in ("init", "seed", "command", "source")}
    part["source"] = shared_source(config)
    part["optimizer"] = {key: value for key, value in config["optimizer"].items() if key != "lr"}
    return digest(part)


def arrange(configs: Sequence[Config], most: int, slots: int) -> list[list[Config]]:
    """Packs of runs of one kind, none larger than `most`, as many as keep `slots` busy, of nearly the same size.

    Runs of one learning rate, and then of one seed, are neighbours, so that they share their batches.
    """
    runs = sorted(configs, key=_shared)
    if not runs:
        return []
    count = min(len(runs), math.ceil(len(runs) / most / slots) * slots)
    blocks = [list(block) for _, block in groupby(runs, key=_shared)]
    if len(blocks) % count == 0 and len({len(block) for block in blocks}) == 1:
        each = len(blocks) // count
        return [list(chain(*blocks[first : first + each])) for first in range(0, len(blocks), each)]
    return [runs[first::count] for first in range(count)]  # dealt out, each gets its share of every block


def _shared(config: Config) -> tuple[float, int]:
    return config["optimizer"]["lr"], config["seed"]


@cache
def _usual_trainer_keys() -> frozenset[str]:
    return frozenset(yaml.safe_load((CONF / "trainer" / "default.yaml").read_text()))
