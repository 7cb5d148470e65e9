"""Fills the history of a run while Lightning trains it."""

from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from torch import Tensor

from initbench.callbacks.clock import Clock
from initbench.record.history import History
from initbench.training.init_table import keep_table
from initbench.training.module import TaskModule


class Recorder(Clock):
    """Adds a row to `history` at each logged step and each validation, and sends it to the loggers.

    Training loss and metric are means over the steps since the last row. A run that diverges is stopped at the row that
    shows it. Before the first step, the table of what was initialized is written.
    """

    def __init__(self, history: History, log_every_n_steps: int) -> None:
        super().__init__(history)
        self.log_every_n_steps = log_every_n_steps
        self._grad_norm: Tensor | None = None

    # Not on_fit_start: callbacks' runs before the module's, which is where the initializer is applied.
    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, TaskModule)
        if self.history.store is not None:
            keep_table(pl_module.recipe.init_table, self.history.store)

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
        super().on_train_end(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        means = self._means(trainer, pl_module, "val")
        self.end_evaluation(pl_module)
        # Lightning's sanity check runs the whole validation before the first step: the untrained network.
        step = 0 if trainer.sanity_checking else trainer.global_step
        self._send(trainer, step, self.history.add_validation(step, trainer.current_epoch, means))
        self.go_on(trainer)

    def _add_training(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        means = self._means(trainer, pl_module, "train")
        group = trainer.optimizers[0].param_groups[0]
        lr = group["lr"] / group["lr_multiplier"] if group["lr_multiplier"] else 0.0
        grad_norm = None if self._grad_norm is None else float(self._grad_norm)
        self._grad_norm = None
        self.read_clock()
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
