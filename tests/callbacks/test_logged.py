"""The history of a fit from what its module logs."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from initbench.callbacks.logged import Logged
from initbench.errors import UserMistake
from initbench.metric import logged_metric
from initbench.record.history import History

MODULE: Any = SimpleNamespace(device=SimpleNamespace(type="cpu"))


def trainer(logged: dict[str, Any], step: int = 7, *, checking: bool = False, batches: float = 2) -> Any:
    """As far as the callback looks at one."""
    return SimpleNamespace(
        state=SimpleNamespace(fn="fit"),
        sanity_checking=checking,
        num_sanity_val_steps=batches,
        callback_metrics=logged,
        global_step=step,
        current_epoch=1,
    )


@pytest.fixture
def logged() -> Logged:
    return Logged(logged_metric("val/loss", higher_is_better=False), History(None))


def rows(logged: Logged) -> list[dict[str, Any]]:
    return [{key: row[key] for key in row if key in ("step", "epoch") or "/" in key} for row in logged.history]


def test_each_validation_is_a_row_and_the_last_counts(logged: Logged) -> None:
    for step, loss in ((5, 2.0), (9, 1.5)):
        found = trainer({"val/loss": torch.tensor(loss), "val_acc": 0.5, "many": torch.zeros(3)}, step)
        logged.on_validation_end(found, MODULE)
    assert rows(logged) == [
        {"step": 5, "epoch": 1, "val/loss": 2.0, "val/acc": 0.5},
        {"step": 9, "epoch": 1, "val/loss": 1.5, "val/acc": 0.5},
    ]
    assert logged.final(trainer({"val/loss": 1.25})) == 1.25
    assert len(rows(logged)) == 2


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_values_of_a_name_that_of_validation_is_in_the_row(turned: bool, logged: Logged) -> None:
    values = {"loss": torch.tensor(9.0), "val_loss": torch.tensor([0.5]), "lr": 0.1, "empty": torch.ones(0)}
    logged.on_validation_end(trainer(dict(reversed(values.items())) if turned else values), MODULE)
    (row,) = logged.history
    assert {key: row[key] for key in row if key.startswith("val/")} == {"val/loss": 0.5, "val/lr": 0.1}


@pytest.mark.parametrize("earlier", [[], [0]])
def test_a_fit_without_validations_after_its_first_step_gets_a_row(earlier: list[int], logged: Logged) -> None:
    if earlier:
        logged.on_validation_end(trainer({"val/loss": 3.0}, checking=True, batches=math.inf), MODULE)
    assert logged.final(trainer({"val/loss": 1.25}, step=9)) == 1.25
    assert [row["step"] for row in rows(logged)] == [*earlier, 9]


@pytest.mark.parametrize("batches, found", [(math.inf, [0]), (2, [])])
def test_the_check_before_training_is_the_row_of_step_0_if_it_sees_all(
    batches: float, found: list[int], logged: Logged
) -> None:
    logged.on_validation_end(trainer({"val/loss": 3.0}, step=0, checking=True, batches=batches), MODULE)
    assert [row["step"] for row in rows(logged)] == found


def test_a_module_that_logs_nothing_in_the_check_may_do_so_later(logged: Logged) -> None:
    logged.on_validation_end(trainer({}, checking=True), MODULE)
    assert rows(logged) == []


@pytest.mark.parametrize("checking", [True, False])
def test_a_score_that_is_not_logged_is_a_mistake(checking: bool, logged: Logged) -> None:
    said = r"^the module has not logged score='val/loss'\. Did you mean 'val/los'\? Logged: val/los, val/acc"
    remedy = r"\. If it does so after the first step only: Trainer\(num_sanity_val_steps=0\)" if checking else ""
    with pytest.raises(UserMistake, match=f"{said}{remedy}$"):
        logged.on_validation_end(trainer({"val/los": 1.0, "val/acc": 0.5}, checking=checking), MODULE)


def test_several_numbers_are_no_score(logged: Logged) -> None:
    with pytest.raises(UserMistake, match="has not logged score='val/loss'"):
        logged.on_validation_end(trainer({"val/loss": torch.zeros(2)}), MODULE)
