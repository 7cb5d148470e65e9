"""What a clock charges to training, to evaluation and to compilation, second by second."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.trainer.states import TrainerFn

from initbench.callbacks import clock
from initbench.callbacks.clock import Clock
from initbench.record.history import History

MODULE: Any = SimpleNamespace(device=SimpleNamespace(type="cpu"))
FITTING: Any = SimpleNamespace(state=SimpleNamespace(fn=TrainerFn.FITTING), sanity_checking=False)
CHECKING: Any = SimpleNamespace(state=SimpleNamespace(fn=TrainerFn.FITTING), sanity_checking=True)
VALIDATING: Any = SimpleNamespace(state=SimpleNamespace(fn=TrainerFn.VALIDATING), sanity_checking=False)


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass."""
    now = [100.0]
    monkeypatch.setattr(clock, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def passing(seconds: float) -> None:
        now[0] += seconds

    return passing


@pytest.fixture
def ours() -> Clock:
    return Clock(History(None))


def seconds(ours: Clock) -> tuple[float, float, float]:
    """Of training, evaluation and compilation."""
    ours.read_clock()
    return ours.history.seconds, ours.history.seconds_evaluation, ours.history.seconds_compile


def test_training_stands_still_during_a_validation(ours: Clock, wait: Callable[[float], None]) -> None:
    ours.on_train_start(FITTING, MODULE)
    wait(2)
    ours.on_validation_start(FITTING, MODULE)
    wait(5)
    ours.on_validation_end(FITTING, MODULE)
    wait(1)
    assert seconds(ours) == (3, 5, 0)
    ours.on_train_end(FITTING, MODULE)
    wait(9)
    assert seconds(ours) == (3, 5, 0)


@pytest.mark.parametrize("trainer", [CHECKING, VALIDATING])
def test_an_evaluation_outside_of_training_starts_no_training(
    trainer: Any, ours: Clock, wait: Callable[[float], None]
) -> None:
    ours.on_validation_start(trainer, MODULE)
    wait(5)
    ours.on_validation_end(trainer, MODULE)
    wait(7)
    assert seconds(ours) == (0, 5, 0)


def test_the_test_set_counts_as_evaluation(ours: Clock, wait: Callable[[float], None]) -> None:
    ours.on_test_start(VALIDATING, MODULE)
    wait(4)
    ours.on_test_end(VALIDATING, MODULE)
    wait(1)
    assert seconds(ours) == (0, 4, 0)


@pytest.mark.parametrize("running", [True, False])
def test_what_is_no_training_is_left_out(running: bool, ours: Clock, wait: Callable[[float], None]) -> None:
    """And a clock that did not run does not run afterwards."""
    if running:
        ours.on_train_start(FITTING, MODULE)
    wait(1)
    with ours.stopped(MODULE):
        wait(10)
    wait(2)
    assert seconds(ours) == (3 if running else 0, 0, 0)


def test_compilation_is_charged_to_neither(ours: Clock, wait: Callable[[float], None]) -> None:
    ours.on_train_start(FITTING, MODULE)
    wait(8)
    ours.exclude(6)
    ours.on_validation_start(FITTING, MODULE)
    wait(4)
    ours.exclude(3)
    ours.on_validation_end(FITTING, MODULE)
    wait(1)
    assert seconds(ours) == (3, 1, 9)


def test_a_checkpoint_has_the_seconds_up_to_now_and_training_goes_on(
    ours: Clock, wait: Callable[[float], None]
) -> None:
    ours.on_train_start(FITTING, MODULE)
    wait(2)
    saved = ours.state_dict()
    wait(3)
    assert saved["seconds"] == 2
    assert seconds(ours) == (5, 0, 0)
    resumed = Clock(History(None))
    resumed.load_state_dict(saved)
    wait(50)
    resumed.on_train_start(FITTING, MODULE)
    wait(1)
    assert seconds(resumed) == (3, 0, 0)
