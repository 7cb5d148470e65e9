"""What a run says of its progress where there is no terminal."""

from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from initbench.training.callbacks import progress
from initbench.training.callbacks.progress import ProgressBar


def test_without_a_terminal_a_run_speaks_soon_and_then_regularly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of 100 steps, resumed at step 10, that takes a second per step."""
    file, clock = StringIO(), [0.0]
    monkeypatch.setattr(progress, "console", Console(file=file, width=80))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    history: Any = SimpleNamespace(latest={"train/loss": 0.5, "val/accuracy": 0.25})
    bar = ProgressBar("lenet-mnist-zeros-seed0", 100, history, "accuracy")
    trainer: Any = SimpleNamespace(global_step=10)
    bar.on_fit_start(trainer, None)  # type: ignore[arg-type]  # it does not look at the module
    for step in range(11, 101):
        clock[0], trainer.global_step = float(step - 10), step
        bar.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]  # nor here
    lines = file.getvalue().splitlines()
    assert lines[0] == "lenet-mnist-zeros-seed0  step 16 of 100  loss 0.500  val 0.250  about 1 min left"
    assert [line.split()[2] for line in lines] == ["16", "47", "78"]
    assert lines[-1].endswith("about 22 s left")


def test_what_is_left_is_told_where_the_number_of_steps_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the user's own knows it when its fit has begun, or never."""
    file, clock = StringIO(), [0.0]
    monkeypatch.setattr(progress, "console", Console(file=file, width=80))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    history: Any = SimpleNamespace(latest={"val/accuracy": 0.25, "train/accuracy": 0.75, "train/loss": 0.5, "lr": 1.0})
    bar = ProgressBar("mine", None, history, "accuracy")
    trainer: Any = SimpleNamespace(global_step=0)
    bar.on_fit_start(trainer, None)  # type: ignore[arg-type]  # it does not look at the module
    for now, step in ((6.0, 3), (40.0, 4)):
        clock[0], trainer.global_step = now, step
        bar.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]  # nor here
        bar.expect(8)
    numbers = "loss 0.500  accuracy 0.750  val 0.250"
    assert file.getvalue().splitlines() == [
        f"mine  step 3  {numbers}",
        f"mine  step 4 of 8  {numbers}  about 40 s left",
    ]
