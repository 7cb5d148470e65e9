"""The Trainer that a config stands for."""

from typing import Any

import pandas as pd
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
