"""Signatures: which configs are the same run, which runs may be compared, and what an initializer is called."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from initbench.masking import masked
from initbench.record.plain import PlainConfig
from initbench.registry import CONF

_SEEDS = ("weights", "order", "augmentation", "split")

# What can change the numbers of a run. Everything else in a config (study, loggers, folders, launchers,
# progress bars) leaves them as they are.
_COUNTED = ("init", "model", "data", "task", "optimizer", "scheduler", "trainer", "seed")
_ANY = object()
_LONGEST_CHANGES = 80  # characters in a label: as much as a legend can take
# Where the same images lie, and how they reach the device, in the same order either way.
_UNCOUNTED_IN_DATA = ("root", "stream", "max_resident_gb", "num_workers")

_CLASSIFICATION = {"_target_": "initbench.task.Classification", "name": "classification", "targets": None}

# Keys that a model got later, at the values that change nothing; at these, they are not part of the signature.
_ADDED = {"initbench.model.GPT": {"branch_multiplier": False}}

# What becomes of a run that fails; where it is halved, batch norms see half batches, and the record says so.
_UNCOUNTED_IN_TRAINER = ("on_oom",)


def counted(config: Mapping[str, Any]) -> PlainConfig:
    """The part of a resolved config that the signature is made of."""
    part = {key: config[key] for key in _COUNTED if key in config}  # records from before there were tasks have none
    added = _ADDED.get(part["model"].get("_target_"), {})
    part["model"] = {key: value for key, value in part["model"].items() if (key, value) not in added.items()}
    part["data"] = {key: value for key, value in part["data"].items() if key not in _UNCOUNTED_IN_DATA}
    part["trainer"] = {key: value for key, value in part["trainer"].items() if key not in _UNCOUNTED_IN_TRAINER}
    if "source" in config:  # see initbench.config.source
        part["source"] = dict(config["source"])
    if own := seeds_apart(config):
        part["seeds"] = own
    return _of_classifier(part)


def seeds_apart(config: Mapping[str, Any]) -> dict[str, Any]:
    """The sources of randomness that have seeds of their own, with these."""
    seeds = config.get("seeds")
    if not isinstance(seeds, Mapping):  # in records of before; or anything, in a run that is refused
        return {}
    return {name: seeds[name] for name in _SEEDS if seeds.get(name) is not None}


def _of_classifier(part: PlainConfig) -> PlainConfig:
    """The same part; for plain classification, as it was before there were tasks, so that records stay what they were.

    Its label smoothing was the trainer's.
    """
    task = dict(part.get("task", {}))
    smoothing = task.pop("label_smoothing", None)
    if task != _CLASSIFICATION:
        return part
    trainer = {**part["trainer"], "label_smoothing": smoothing}
    return {**{key: value for key, value in part.items() if key != "task"}, "trainer": trainer}


def signature(config: Mapping[str, Any]) -> str:
    """Ten hex digits for a run: equal for configs that must give the same numbers."""
    return digest(counted(config))


def setting(config: Mapping[str, Any]) -> str:
    """Ten hex digits for all but initializer and seeds: runs with equal settings may be compared."""
    return digest(shared(config))


def shared(config: Mapping[str, Any]) -> PlainConfig:
    """What the runs of a setting share."""
    part = counted(config)
    del part["init"], part["seed"]
    if "seeds" in part:  # runs that share some of their seeds are no ordinary runs
        part["seeds"] = list(part["seeds"])
    if source := shared_source(part):
        part["source"] = source
    else:
        part.pop("source", None)
    return part


def shared_source(config: Mapping[str, Any]) -> dict[str, str]:
    """The digests of the user's own code (see `initbench.config.source`) apart from the initializer's."""
    return {group: digest for group, digest in config.get("source", {}).items() if group != "init"}


def workload(config: Mapping[str, Any]) -> PlainConfig:
    """A setting at any learning rate: runs of equal workloads may be compared, if the rate is tuned."""
    part = shared(config)
    part["optimizer"] = {key: value for key, value in part["optimizer"].items() if key != "lr"}
    return part


def init_label(init: Mapping[str, Any]) -> str:
    """The initializer's name with what differs from its file, `orthogonal(gain=2)`; if that is long, with a digest."""
    changed = ", ".join(_changes(init, _standard_init(str(init["name"]))))
    if len(changed) > _LONGEST_CHANGES:
        changed = digest({"changed": changed})[:6]
    return f"{init['name']}({changed})" if changed else str(init["name"])


def _changes(node: Mapping[str, Any], standard: Mapping[str, Any], prefix: str = "") -> list[str]:
    changed = []
    for key, value in node.items():
        usual = standard.get(key)
        if key == "name" or (key in standard and usual in (value, _ANY)):
            continue
        if isinstance(value, Mapping) and isinstance(usual, Mapping):
            changed += _changes(value, usual, f"{prefix}{key}.")
        else:
            changed.append(f"{prefix}{key}={_compact(masked(value, key))}")
    return changed


def run_name(config: Mapping[str, Any]) -> str:
    """Readable and safe as a file name: `lenet-mnist_mini-orthogonal-seed0`, at most 100 characters."""
    name = f"{config['model']['name']}-{config['data']['name']}-{init_label(config['init'])}"
    seed = "".join(f"-{name}{value}" for name, value in {"seed": config["seed"], **seeds_apart(config)}.items())
    return re.sub(r"[^\w.=+-]+", "_", name).strip("_")[: 100 - len(seed)] + seed


@cache
def shared_init() -> PlainConfig:
    """What every initializer shares: the policies and rules of conf/config.yaml."""
    shared: PlainConfig = yaml.safe_load((CONF / "config.yaml").read_text("utf-8"))["init"]
    return shared


@cache
def _standard_init(name: str) -> PlainConfig:
    path = CONF / "init" / f"{name}.yaml"
    # One of the user's own has no file here to compare with: its label gives all its parameters.
    option = yaml.safe_load(path.read_text("utf-8")) if path.exists() else {"_target_": _ANY}
    return {**shared_init(), **option}


def _compact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":")).replace('"', "")


def digest(part: Mapping[str, Any]) -> str:
    """Ten hex digits of a part of a config."""
    return hashlib.sha256(json.dumps(_plain(part), sort_keys=True).encode()).hexdigest()[:10]


def _plain(value: Any) -> Any:
    """The same tree with 1.0 as 1: people type either."""
    if value is None or isinstance(value, str | int):  # most are, and to ask for a mapping takes longest
        return value
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
