"""From what Hydra composed to the plain config that a run is made of."""

import shlex
from collections.abc import Collection, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from initbench.config.paths import expand_all
from initbench.config.source import source_digests
from initbench.errors import UserMistake
from initbench.record.plain import PlainConfig
from initbench.record.signature import shared_init
from initbench.registry import LIGHTNING_TASK

_OF_SWEEPS = ("tuning", "until")  # what a single run has none of


def resolve(config: DictConfig, hydra: DictConfig) -> PlainConfig:
    """The config as plain values, with the names of options where a user's own YAML has none.

    `source` is added where functions of the user's own are part of it: the digest of their files by group.
    `hydra` is the hydra node of the same job, whether it is still part of `config` or not.
    Raises UserMistake where several options of one group are chosen, and OmegaConf's errors for interpolations.
    """
    resolved = expand_all({str(key): _plain(config, str(key)) for key in config if key != "hydra"})
    resolved["command"] = _command(hydra, [key for key in _OF_SWEEPS if resolved.get(key) is not None])
    for override in hydra.overrides.task:
        group, _, choice = override.partition("=")
        if choice.startswith("[") and isinstance(resolved.get(group), dict):  # Hydra would lay one over the other
            several = choice.strip("[]")
            raise UserMistake(f"{group}={choice} is several options for one run; a sweep is -m {group}={several}")
    for group, choice in hydra.runtime.choices.items():
        if isinstance(resolved.get(group), dict):
            resolved[group].setdefault("name", choice)  # a YAML of the user's own may leave it to its file name
    _own_function(resolved, hydra.overrides.task)
    if resolved["task"].get("_target_") == LIGHTNING_TASK:
        _own_module(resolved, hydra.overrides.task)
    if digests := source_digests(resolved):  # left out otherwise: most configs name no code of the user's own
        resolved["source"] = digests
    return resolved


def _command(hydra: DictConfig, of_sweep: Sequence[str]) -> str:
    """What to type for this one run, wherever the sweep that it is part of came from."""
    own = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    folders = [part for path in own for part in ("--config-dir", path)]
    folders += [line for line in hydra.overrides.hydra if line.startswith("hydra.searchpath=")]
    typed = [line for line in hydra.overrides.task if line.partition("=")[0] not in _OF_SWEEPS]
    return shlex.join(["python", "-m", "initbench", *folders, *typed, *(f"{key}=null" for key in of_sweep)])


def _plain(config: DictConfig, key: str) -> Any:
    # Key by key: a copy without the hydra node, which is the larger part, would cost as much as composing.
    value = "???" if OmegaConf.is_missing(config, key) else config[key]
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _own_function(resolved: PlainConfig, overrides: Collection[str]) -> None:
    """`init._target_=my.module.fn` puts another function in an option's place: drop what was meant for the old one."""
    typed = {override.partition("=")[0].lstrip("+") for override in overrides}
    init = resolved["init"]
    if "init._target_" in typed and isinstance(init["_target_"], str):
        kept = {key for key in init if key in shared_init() or any(f"init.{key}" in name for name in typed)}
        resolved["init"] = {"name": init["_target_"], **{key: init[key] for key in init if key in kept}}


def _own_module(resolved: PlainConfig, overrides: Collection[str]) -> None:
    """A LightningModule of the user's own takes the place of four groups, which are left with a name.

    What was typed for one of them stays, for `check` to refuse.
    """
    task = resolved["task"]
    module, datamodule = (str((task.get(key) or {}).get("_target_")) for key in ("module", "datamodule"))
    names = {"model": module.rpartition(".")[2], "data": datamodule.rpartition(".")[2].replace("None", "own")}
    for group in ("model", "data", "optimizer", "scheduler"):
        typed = {line.lstrip("+").partition("=")[0] for line in overrides if line.lstrip("+").startswith(f"{group}.")}
        node = resolved.get(group) or {}
        kept = node if "_target_" in node else {key: node[key] for key in node if f"{group}.{key}" in typed}
        resolved[group] = {"name": names.get(group, "own"), **kept}
