"""The Trainer that a config stands for."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from configs import typed
from lightning.pytorch.profilers import SimpleProfiler

from initbench.record.store import Store
from initbench.training import trainer
from initbench.training.run import run


def test_a_profiler_that_the_user_asks_for_takes_the_place_of_ours(small: Any) -> None:
    config = typed(small("+trainer.profiler=simple")).trainer
    assert isinstance(trainer.build(config, callbacks=[], loggers=[]).profiler, SimpleProfiler)


def test_an_epoch_may_have_fewer_steps_than_are_logged_together(small: Any) -> None:
    """Lightning's warning about it, which would be an error here, comes with a logger alone; the rows are ours."""
    config = small("logger=csv", "data.batch_size=1000", "trainer.log_every_n_steps=6", "trainer.max_steps=12")
    assert run(config)["total_steps"] == 12
    history = pd.read_parquet(Store(config).folder / "history.parquet")
    assert history.dropna(subset="train/loss")["step"].tolist() == [6, 12]


def test_validation_is_of_our_cadence_and_of_all_samples_before_the_first_step(small: Any) -> None:
    config = typed(small("trainer.max_steps=null", "trainer.max_epochs=3", "trainer.log_every_n_steps=7")).trainer
    made = trainer.build(config, val_every_n_steps=5, callbacks=[], loggers=[])
    assert (made.val_check_interval, made.check_val_every_n_epoch, made.num_sanity_val_steps) == (5, None, math.inf)
    assert (made.max_steps, made.max_epochs, made.log_every_n_steps) == (-1, 3, 0)
    assert made._accelerator_connector.use_distributed_sampler is False
    assert made.loggers == []
    assert made.checkpoint_callback is None


def test_of_a_module_of_the_users_own_validation_is_as_lightning_has_it(small: Any, tmp_path: Path) -> None:
    config = typed(small("trainer.log_every_n_steps=7")).trainer
    made = trainer.build(config, callbacks=[], loggers=[], folder=tmp_path / "here")
    assert (made.val_check_interval, made.check_val_every_n_epoch, made.num_sanity_val_steps) == (1.0, 1, math.inf)
    assert made.log_every_n_steps == 7
    assert made._accelerator_connector.use_distributed_sampler is True
    assert made.default_root_dir == str(tmp_path / "here")
    asked = typed(small("+trainer.num_sanity_val_steps=0")).trainer
    assert trainer.build(asked, callbacks=[], loggers=[]).num_sanity_val_steps == 0


@pytest.mark.parametrize(
    "overrides, said",
    [
        (["trainer.on_oom=halve", "trainer.devices=2"], "trainer.on_oom=halve is for one device"),
        (["+trainer.gradient_clip_vall=1"], "trainer: lightning.Trainer has no argument 'gradient_clip_vall'. Did you"),
        (["+trainer.enable_progress_bar=true"], "trainer: enable_progress_bar is set by initbench"),
    ],
)
def test_what_a_trainer_does_not_take_is_told_by_its_key(small: Any, overrides: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        trainer.build(typed(small(*overrides)).trainer, callbacks=[], loggers=[])


@pytest.mark.parametrize("deterministic", ["true", "warn", "false"])
def test_a_deterministic_trainer_fills_no_memory(small: Any, deterministic: str) -> None:
    """It would cost a fill of every torch.empty."""
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    try:
        torch.utils.deterministic.fill_uninitialized_memory = True
        trainer.build(typed(small(f"trainer.deterministic={deterministic}")).trainer, callbacks=[], loggers=[])
        assert torch.utils.deterministic.fill_uninitialized_memory is False
        assert torch.are_deterministic_algorithms_enabled() == (deterministic != "false")
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.utils.deterministic.fill_uninitialized_memory = before[1]
