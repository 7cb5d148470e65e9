"""Configs composed as Hydra composes them, and what there is to compose."""

import os
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from initbench import CONF

# `make test` runs on real data too where this names a folder that holds it.
REAL_DATA = os.environ.get("INITBENCH_DATA")


def options(group: str) -> list[str]:
    """The names of all files of a config group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def compose_config(*overrides: str) -> dict[str, Any]:
    """The resolved config that `python -m initbench OVERRIDES` would run."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]  # of a mapping
    return resolved
