"""Configs composed as Hydra composes them, small enough to train in a second."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from initbench import CONF

# Two busy threads on a core that someone else wants are many times slower than one.
torch.set_num_threads(1)

# `make test` runs on real data too where this names a folder that holds it.
REAL_DATA = os.environ.get("INITBENCH_DATA")


@pytest.fixture(autouse=True)
def quiet_lightning() -> Iterator[None]:
    """Lightning 2.6 asks torch's pytree in a way that torch 2.13 deprecated; the rest stays an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
        yield


def options(group: str) -> list[str]:
    """The names of all files of a config group."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def compose_config(*overrides: str) -> dict[str, Any]:
    """The resolved config that `python -m initbench OVERRIDES` would run."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("config", overrides=list(overrides))
    resolved: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    return resolved


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """A function from overrides to the config of a run of eight steps, with records under tmp_path."""

    def make(*overrides: str) -> dict[str, Any]:
        fixed = ["logger=none", f"runs_dir={tmp_path}/runs", "trainer.max_steps=8", "trainer.log_every_n_steps=2"]
        return compose_config(*fixed, "model=mlp", "data.val_every_n_steps=4", "trainer.accelerator=cpu", *overrides)

    return make
