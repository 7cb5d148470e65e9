"""Fills the history of a run while Lightning trains it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from initbench.record.history import History
from initbench.training.module import TaskModule


class Recorder(L.Callback):
    """Adds a row to `history` at each logged step and each validation, sends it to the loggers, and keeps the clocks.

    Training loss and metric are means over the steps since the last row. The training clock stands still during
    evaluation. A run that diverges is stopped at the row that shows it.
    """

    def __init__(self, history: History, log_every_n_steps: int) -> None:
        self.history = history
        self.log_every_n_steps = log_every_n_steps
        self._resumed_at: float | None = None  # when the training clock started to run
        self._evaluating_since = 0.0
        self._grad_norm: Tensor | None = None

    def state_dict(self) -> dict[str, Any]:
        self._read_clock()
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

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        # Before clipping, and only for the steps that become a row.
        if (trainer.global_step + 1) % self.log_every_n_steps == 0:
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            self._grad_norm = torch.nn.utils.get_total_norm(gradients)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self.log_every_n_steps == 0:
            self._add_training(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step % self.log_every_n_steps and self.history.diverged is None:
            self._add_training(trainer, pl_module)
        self._pause()
        self.history.flush()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        _synchronize(pl_module)
        self._pause()
        self._evaluating_since = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        means = self._means(trainer, pl_module, "val")
        self._end_evaluation(pl_module)
        # Lightning's sanity check runs the whole validation before the first step: the untrained network.
        step = 0 if trainer.sanity_checking else trainer.global_step
        self._send(trainer, step, self.history.add_validation(step, trainer.current_epoch, means))
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._resumed_at = time.perf_counter()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._evaluating_since = time.perf_counter()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._end_evaluation(pl_module)

    def _add_training(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        means = self._means(trainer, pl_module, "train")
        group = trainer.optimizers[0].param_groups[0]
        lr = group["lr"] / group["lr_multiplier"] if group["lr_multiplier"] else 0.0
        grad_norm = None if self._grad_norm is None else float(self._grad_norm)
        self._grad_norm = None
        self._read_clock()
        step, scaled = trainer.global_step, trainer.precision == "16-mixed"
        values = self.history.add_training(step, trainer.current_epoch, means, lr, grad_norm, scaled=scaled)
        self._send(trainer, step, values)

    def _send(self, trainer: L.Trainer, step: int, values: dict[str, float]) -> None:
        for logger in trainer.loggers:
            logger.log_metrics(values, step)
        if self.history.diverged:
            # The sums behind the decision are reduced, so every process takes it at the same step.
            trainer.should_stop = True

    def _means(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> dict[str, float]:
        assert isinstance(pl_module, TaskModule)
        return pl_module.meters[stage].compute(lambda sums: trainer.strategy.reduce(sums, reduce_op="sum"))

    def _end_evaluation(self, pl_module: L.LightningModule) -> None:
        _synchronize(pl_module)
        self.history.seconds_evaluation += time.perf_counter() - self._evaluating_since

    def _pause(self) -> None:
        self._read_clock()
        self._resumed_at = None

    def _read_clock(self) -> None:
        """Move what the training clock has counted so far to the history."""
        if self._resumed_at is not None:
            now = time.perf_counter()
            self.history.seconds += now - self._resumed_at
            self._resumed_at = now


def _synchronize(pl_module: L.LightningModule) -> None:
    if pl_module.device.type != "cpu":
        torch.accelerator.synchronize()  # what is still queued belongs to training
