"""Configs composed as Hydra composes them, and what there is to compose."""

import os
import re
from functools import cache
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from initbench import CONF
from initbench.config.resolve import resolve
from initbench.config.typed import TASKS
from initbench.record.plain import PlainConfig
from initbench.schema.config import Config

# `make test` runs on real data too where this names a folder that holds it.
REAL_DATA = os.environ.get("INITBENCH_DATA")


def options(group: str) -> list[str]:
    """The names of all files of a config group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def of_model(name: str) -> list[str]:
    """The overrides that choose a model of conf/, small where it has no size of its own, with the task it is for."""
    size = ["model.config={n_layer: 2, n_embd: 8, n_head: 2}"] if name == "transformers" else []
    return [f"model={name}", f"task={TASKS.get(name, 'classification')}", *size]


# Values that differ from test to test and from run to run, and what stands for them in what is composed once: it takes
# Hydra a fifth of a second.
_FREE = {"runs_dir": (r"/[\w./-]+", "/the_folder_of_runs"), "seed": ("0|[1-9][0-9]?", 918273645)}


def compose_config(*overrides: str) -> PlainConfig:
    """The resolved config that `python -m initbench OVERRIDES` would run."""
    values: dict[int | str, Any] = {}
    fixed = []
    for override in overrides:
        key, _, value = override.partition("=")
        pattern, stand_in = _FREE.get(key, ("", ""))
        if pattern and re.fullmatch(pattern, value) and stand_in not in values:
            values[stand_in] = type(stand_in)(value)
            override = f"{key}={stand_in}"
        fixed.append(override)
    return _filled(_composed(os.environ.get("INITBENCH_DATA"), *fixed), values)


def _filled(value: Any, values: dict[int | str, Any]) -> Any:
    """A copy with the values of a test, also where they are a part of a text."""
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, str):
        for stand_in, text in values.items():
            value = value.replace(str(stand_in), str(text))
        return value
    return value if isinstance(value, bool | float | None) else values.get(value, value)


@cache
def _composed(data: str | None, *overrides: str) -> PlainConfig:
    """With the folder of the data that is in the environment now."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    resolved: PlainConfig = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]  # of a mapping
    return resolved


def resolved(*overrides: str) -> PlainConfig:
    """The config of a run as a job makes it: with what stands in for the groups that a module brings."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(overrides), return_hydra_config=True)
    return resolve(config, config.hydra)


def typed(config: PlainConfig) -> Config:
    """The config that a run is built from."""
    return Config.model_validate(config)
