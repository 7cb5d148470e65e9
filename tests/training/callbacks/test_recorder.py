"""A row of the history is of its own step."""

from typing import Any

import pandas as pd
import pytest

from initbench.record.store import Store
from initbench.training.run import run


def test_the_gradient_norm_in_a_row_is_that_of_its_step(small: Any) -> None:
    """Whether each step has a row or each third one; the last step, between two rows, has none."""
    histories = {}
    for every in (1, 3):
        config = small(f"trainer.log_every_n_steps={every}", f"study=every{every}")
        run(config)
        histories[every] = pd.read_parquet(Store(config).folder / "history.parquet").set_index("step")
    norms = histories[1]["train/grad_norm"].dropna()
    assert norms.index.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert norms.is_unique
    third = histories[3]["train/grad_norm"].dropna()
    assert third.index.tolist() == [3, 6]
    assert third.tolist() == pytest.approx(norms[[3, 6]].tolist(), rel=1e-6)


@pytest.mark.parametrize("multiplier, logged", [(2, 0.25), (0, 0.0)])
def test_the_rate_in_a_row_is_the_schedules_where_every_role_multiplies_it(
    multiplier: float, logged: float, small: Any
) -> None:
    """A learning rate of zero everywhere says nothing of the schedule's."""
    multipliers = f"optimizer.lr_multipliers={{weight:{multiplier},bias:{multiplier}}}"
    config = small("optimizer=sgd", "optimizer.lr=0.25", multipliers, "scheduler=constant")
    run(config)
    rates = pd.read_parquet(Store(config).folder / "history.parquet")["lr"].dropna()
    assert rates.tolist() == [logged] * 4
