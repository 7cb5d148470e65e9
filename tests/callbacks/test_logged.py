"""Which of what a module logs becomes a row, and which is the score."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from initbench.callbacks.logged import Logged
from initbench.errors import UserMistake
from initbench.metric import logged_metric
from initbench.record.history import History

MODULE: Any = SimpleNamespace(device=torch.device("cpu"))


def logged(score: str = "val_loss") -> Logged:
    return Logged(logged_metric(score, False, "", None), History(None))


def trainer(metrics: dict[str, Any], step: int = 4, *, sanity_checking: bool = False, checked: float = math.inf) -> Any:
    return SimpleNamespace(
        callback_metrics=metrics,
        global_step=step,
        current_epoch=2,
        sanity_checking=sanity_checking,
        num_sanity_val_steps=checked,
        state=SimpleNamespace(fn=TrainerFn.FITTING),
    )


@pytest.mark.parametrize("turned", [False, True])
def test_a_row_has_each_number_and_of_a_name_that_of_validation(turned: bool) -> None:
    """What is no single number has no place in it."""
    metrics: dict[str, Any] = {
        "loss": torch.tensor(9.0),
        "val_loss": torch.tensor([0.5]),
        "val/acc": 0.25,
        "lr": torch.tensor(0.1),
        "confusion": torch.ones(2, 2),
        "empty": torch.ones(0),
    }
    callback = logged()
    callback.on_validation_end(trainer(dict(reversed(metrics.items())) if turned else metrics), MODULE)
    (row,) = callback.history
    assert (row["step"], row["epoch"]) == (4, 2)
    assert {key: value for key, value in row.items() if key.startswith("val/")} == pytest.approx(
        {"val/loss": 0.5, "val/acc": 0.25, "val/lr": 0.1}
    )
    assert callback.final(trainer(metrics)) == 0.5


def test_the_score_that_counts_is_what_was_logged_last() -> None:
    callback = logged()
    callback.on_validation_end(trainer({"val_loss": 3.0}, 4), MODULE)
    callback.on_validation_end(trainer({"val_loss": 1.0}, 8), MODULE)
    assert callback.final(trainer({"val_loss": 2.0}, 9)) == 2.0
    assert list(callback.history.by_step) == [4, 8]  # and no row of its own
    alone = logged()
    assert alone.final(trainer({"val_loss": 2.0}, 9)) == 2.0  # of a fit without validations
    assert list(alone.history.by_step) == [9]


@pytest.mark.parametrize("checked, steps", [(math.inf, [0]), (2, [])])
def test_the_check_before_the_first_step_is_a_row_where_it_saw_all(checked: float, steps: list[int]) -> None:
    callback = logged()
    callback.on_validation_end(trainer({"val_loss": 3.0}, 0, sanity_checking=True, checked=checked), MODULE)
    assert list(callback.history.by_step) == steps
    callback.on_validation_end(trainer({}, 0, sanity_checking=True), MODULE)  # nothing is logged there: no mistake
    assert list(callback.history.by_step) == steps


@pytest.mark.parametrize("sanity_checking", [True, False])
def test_a_score_that_is_not_logged_is_named_with_what_is(sanity_checking: bool) -> None:
    with pytest.raises(UserMistake) as error:
        logged().on_validation_end(trainer({"val_los": 1.0, "other": 2.0}, sanity_checking=sanity_checking), MODULE)
    said = "the module has not logged score='val_loss'. Did you mean 'val_los'? Logged: val_los, other"
    assert str(error.value).startswith(said)
    assert str(error.value).endswith("Trainer(num_sanity_val_steps=0)") == sanity_checking
    with pytest.raises(UserMistake, match=r"Logged: nothing$"):
        logged().final(trainer({}))
