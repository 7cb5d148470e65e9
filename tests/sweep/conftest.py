"""Sweeps whose rounds are played with records written by hand."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import DictConfig

from initbench import CONF
from initbench.sweep.compose import CachingConfigLoader


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Callable[..., tuple[CachingConfigLoader, DictConfig]]]:
    """From what is typed for a sweep to the loader and the config without what is swept over."""
    hydra = Hydra.create_main_hydra2(task_name="initbench", config_search_path=create_config_search_path(str(CONF)))

    def make(*typed: str) -> tuple[CachingConfigLoader, DictConfig]:
        master = hydra.compose_config("config", [f"runs_dir={tmp_path}", *typed], RunMode.MULTIRUN)
        return CachingConfigLoader(hydra.config_loader), master

    yield make
    GlobalHydra.instance().clear()
