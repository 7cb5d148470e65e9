"""What is charged to training, to evaluation and to neither, on a clock that only the test moves."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn

from initbench.callbacks.clock import Clock
from initbench.record.history import History

MODULE: Any = SimpleNamespace(device=torch.device("cpu"))


class Time:
    """Seconds go by where the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr("time.perf_counter", clock)
    return clock


def fitting(fn: TrainerFn = TrainerFn.FITTING, *, sanity_checking: bool = False) -> Any:
    return SimpleNamespace(state=SimpleNamespace(fn=fn), sanity_checking=sanity_checking)


def charged(clock: Clock) -> tuple[float, float, float]:
    """To training, evaluation and compilation, as a checkpoint has it."""
    state = clock.state_dict()
    return state["seconds"], state["seconds_evaluation"], state["seconds_compile"]


def test_training_stands_still_while_it_is_evaluated_and_goes_on_then(time: Time) -> None:
    clock, trainer = Clock(History(None)), fitting()
    time.now += 1  # before the fit
    clock.on_train_start(trainer, MODULE)
    time.now += 10
    assert charged(clock) == (10, 0, 0)
    assert charged(clock) == (10, 0, 0)  # to look charges nothing
    clock.on_validation_start(trainer, MODULE)
    time.now += 3
    clock.on_validation_end(trainer, MODULE)
    assert charged(clock) == (10, 3, 0)
    time.now += 2
    clock.on_train_end(trainer, MODULE)
    time.now += 5
    assert charged(clock) == (12, 3, 0)
    clock.on_test_start(trainer, MODULE)
    time.now += 4
    clock.on_test_end(trainer, MODULE)
    time.now += 1
    assert charged(clock) == (12, 7, 0)


@pytest.mark.parametrize(
    "trainer",
    [fitting(sanity_checking=True), fitting(TrainerFn.VALIDATING), fitting(TrainerFn.TESTING)],
    ids=["before the first step", "once more at the end", "test"],
)
def test_an_evaluation_outside_of_training_starts_no_training_clock(trainer: Any, time: Time) -> None:
    clock = Clock(History(None))
    clock.on_validation_start(trainer, MODULE)
    time.now += 3
    clock.on_validation_end(trainer, MODULE)
    time.now += 8
    assert charged(clock) == (0, 3, 0)


def test_compilation_is_charged_to_itself_whatever_was_under_way(time: Time) -> None:
    clock, trainer = Clock(History(None)), fitting()
    clock.on_train_start(trainer, MODULE)
    time.now += 10
    clock.exclude(4)
    assert charged(clock) == (6, 0, 4)
    clock.on_validation_start(trainer, MODULE)
    time.now += 5
    clock.exclude(2)
    clock.on_validation_end(trainer, MODULE)
    time.now += 1
    assert charged(clock) == (7, 3, 6)


@pytest.mark.parametrize("running", [True, False])
def test_what_is_no_training_is_not_charged_to_it(running: bool, time: Time) -> None:
    """And what stood still before stands still behind it."""
    clock = Clock(History(None))
    if running:
        clock.on_train_start(fitting(), MODULE)
    time.now += 2
    with clock.stopped(MODULE):
        time.now += 30
    time.now += 4
    assert charged(clock) == (6 if running else 0, 0, 0)


def test_a_resumed_clock_goes_on_from_what_was_saved(time: Time) -> None:
    first, second = Clock(History(None)), Clock(History(None))
    first.on_train_start(fitting(), MODULE)
    time.now += 7
    second.load_state_dict(first.state_dict())
    time.now += 50
    second.on_train_start(fitting(), MODULE)
    time.now += 2
    assert charged(second) == (9, 0, 0)
