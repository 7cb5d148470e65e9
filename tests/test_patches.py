"""What is changed inside Lightning, torch and wandb still fits what these do: else the change is to go.

Hydra's loader of configs, which is extended, is compared with the original in tests/sweep/test_compose.py.
"""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import pytest
import torch
from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from lightning.fabric.utilities import registry

import initbench.__main__  # noqa: F401 - it changes Hydra's store
from initbench.status.live import _IN_PROCESS
from initbench.training.module import TaskModule
from initbench.training.run import run


def test_lightning_asks_for_the_metadata_of_packages_at_each_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which training/run.py remembers."""
    asked: list[str] = []
    found = registry.entry_points  # type: ignore[attr-defined]  # its own import

    def counting(**of: str) -> Any:
        asked.append(of["group"])
        return found(**of)

    monkeypatch.setattr(registry, "entry_points", counting)
    L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
    assert asked


def test_lightning_has_torch_query_nvml() -> None:
    """Which training/run.py takes back."""
    code = "import os, lightning.pytorch; print(os.environ.get('PYTORCH_NVML_BASED_CUDA_CHECK'))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "1"


def test_lightning_notes_its_hook_many_times_a_step(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which training/module.py keeps from torch's bookkeeping of attributes."""
    noted = 0
    set_attribute = TaskModule.__setattr__

    def counting(self: TaskModule, name: str, value: Any) -> None:
        nonlocal noted
        noted += name == "_current_fx_name"
        set_attribute(self, name, value)

    monkeypatch.setattr(TaskModule, "__setattr__", counting)
    run(small("trainer.max_steps=20", "data.val_every_n_steps=20", "trainer.log_every_n_steps=20"))
    assert noted / 20 > 20


def test_torch_fills_memory_where_algorithms_are_deterministic() -> None:
    """Which training/trainer.py turns off."""
    code = "import torch; torch.use_deterministic_algorithms(True); print(torch.empty(2).isnan().all().item())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "True"
    assert isinstance(torch.utils.deterministic.fill_uninitialized_memory, bool)  # type: ignore[attr-defined]  # not in the stubs


def test_wandb_reads_the_metadata_of_packages_for_each_run(tmp_path: Path) -> None:
    """Which logger/wandb.py remembers."""
    code = (
        "import wandb, wandb.util\n"
        "found, asked = wandb.util.working_set, []\n"
        "wandb.util.working_set = lambda: (asked.append(1), *found())[1:]\n"
        "for _ in range(2): wandb.init(mode='offline', dir='.', settings=wandb.Settings(silent=True)).finish()\n"
        "print(len(asked))\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert int(found.stdout.strip()) >= 2, found.stderr


def test_the_launcher_whose_runs_are_in_this_process_is_known_by_its_name() -> None:
    assert f"{BasicLauncher.__module__}.{BasicLauncher.__qualname__}" in _IN_PROCESS


def test_hydra_has_a_help_that_is_no_text() -> None:
    """Which config/typed.py keeps Python 3.14 from refusing."""
    (option,) = (action for action in get_args_parser()._actions if "--shell-completion" in action.option_strings)
    assert not isinstance(option.help, str)


def test_hydra_copies_what_it_loads_from_the_store_of_structured_configs() -> None:
    """So that `__main__` may keep it from copying the store itself."""
    store = ConfigStore.instance()
    assert copy.deepcopy(store) is store
    before = store.load("hydra/launcher/auto.yaml").node
    before["replicas"] = 7
    assert store.load("hydra/launcher/auto.yaml").node["replicas"] == 64
