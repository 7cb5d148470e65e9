"""How long a fit has trained and how long it has evaluated."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from lightning.pytorch.trainer.states import TrainerFn

from initbench.record.history import History


class Clock(L.Callback):
    """Keeps the clocks of `history`. The training clock stands still during evaluation.

    A subclass that has work to do at the end of a validation does it between `end_evaluation` and `go_on`.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._resumed_at: float | None = None  # when the training clock started to run
        self._evaluating_since = 0.0

    def state_dict(self) -> dict[str, Any]:
        self.read_clock()
        return self.history.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history.load_state_dict(state_dict)

    @contextmanager
    def stopped(self, pl_module: L.LightningModule) -> Iterator[None]:
        """What happens inside is not training: the clock stands still, if it was running."""
        running = self._resumed_at is not None
        _synchronize(pl_module)
        self._pause()
        yield
        if running:
            self._resumed_at = time.perf_counter()

    def exclude(self, seconds: float) -> None:
        """Charge the last `seconds` to compilation, not to the training or evaluation under way."""
        self.history.seconds_compile += seconds
        self._evaluating_since += seconds
        if self._resumed_at is not None:
            self._resumed_at += seconds

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._resumed_at = time.perf_counter()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._pause()
        self.history.flush()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        _synchronize(pl_module)
        self._pause()
        self._evaluating_since = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.end_evaluation(pl_module)
        self.go_on(trainer)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._evaluating_since = time.perf_counter()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.end_evaluation(pl_module)

    def end_evaluation(self, pl_module: L.LightningModule) -> None:
        _synchronize(pl_module)
        self.history.seconds_evaluation += time.perf_counter() - self._evaluating_since

    def go_on(self, trainer: L.Trainer) -> None:
        """Let the training clock run again, if training goes on."""
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._resumed_at = time.perf_counter()

    def read_clock(self) -> None:
        """Move what the training clock has counted so far to the history."""
        if self._resumed_at is not None:
            now = time.perf_counter()
            self.history.seconds += now - self._resumed_at
            self._resumed_at = now

    def _pause(self) -> None:
        self.read_clock()
        self._resumed_at = None


def _synchronize(pl_module: L.LightningModule) -> None:
    if pl_module.device.type != "cpu":
        torch.accelerator.synchronize()  # what is still queued belongs to training
