"""The Trainer that a config stands for."""

from typing import Any

from configs import typed
from lightning.pytorch.profilers import SimpleProfiler

from initbench.training import trainer


def test_a_profiler_that_the_user_asks_for_takes_the_place_of_ours(small: Any) -> None:
    config = typed(small("+trainer.profiler=simple")).trainer
    assert isinstance(trainer.build(config, callbacks=[], loggers=[]).profiler, SimpleProfiler)
