"""Configs composed as Hydra composes them, and what there is to compose."""

import os

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from initbench import CONF
from initbench.config.resolve import resolve
from initbench.record.plain import PlainConfig
from initbench.schema.config import Config

# `make test` runs on real data too where this names a folder that holds it.
REAL_DATA = os.environ.get("INITBENCH_DATA")


def options(group: str) -> list[str]:
    """The names of all files of a config group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def of_model(name: str) -> list[str]:
    """The overrides that choose a model of conf/, small where it has no size of its own, with the task it is for."""
    tasks = {"gpt": "language_model", "transformers": "language_model", "autoencoder": "autoencoder"}
    size = ["model.config={n_layer: 2, n_embd: 8, n_head: 2}"] if name == "transformers" else []
    return [f"model={name}", f"task={tasks.get(name, 'classification')}", *size]


def compose_config(*overrides: str) -> PlainConfig:
    """The resolved config that `python -m initbench OVERRIDES` would run."""
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
