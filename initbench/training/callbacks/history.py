"""The history of a run: a row a logged step, a training clock, and the watch for divergence."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from initbench.record.rows import Rows
from initbench.record.store import Store
from initbench.training.module import Classifier


class History(L.Callback):
    """Collects rows {step, epoch, seconds, lr, train/*, val/*}, sends each to the loggers, writes them to disk.

    Training loss and accuracy are means over the steps since the last row. `seconds` counts training only: the
    clock stands still during evaluation. Loss or gradients that are not finite stop the run at the next row.
    """

    def __init__(self, log_every_n_steps: int, store: Store | None) -> None:
        self.log_every_n_steps = log_every_n_steps
        self.rows = Rows(store)
        self.diverged: str | None = None
        self._seconds = 0.0
        self._resumed_at: float | None = None
        self._grad_norm: Tensor | None = None
        self.seconds_evaluation = 0.0
        self.seconds_compile = 0.0
        self._evaluating_since = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        running = 0.0 if self._resumed_at is None else time.perf_counter() - self._resumed_at
        return self._seconds + running

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows.by_step,
            "seconds": self.seconds,
            "seconds_evaluation": self.seconds_evaluation,
            "seconds_compile": self.seconds_compile,
            "latest": self.rows.latest,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows.by_step, self.rows.latest = state_dict["rows"], state_dict["latest"]
        self._seconds = state_dict["seconds"]
        self.seconds_evaluation = state_dict["seconds_evaluation"]
        self.seconds_compile = state_dict["seconds_compile"]

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
        """The last `seconds` went into compiling: they are not those of the training or evaluation under way."""
        self.seconds_compile += seconds
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
            self._add_training_row(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.global_step % self.log_every_n_steps and self.diverged is None:
            self._add_training_row(trainer, pl_module)
        self._pause()
        self.rows.flush()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        _synchronize(pl_module)
        self._pause()
        self._evaluating_since = time.perf_counter()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._evaluating_since = time.perf_counter()

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._add_evaluation(pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        values = self._compute(trainer, pl_module, "val")
        self._add_evaluation(pl_module)
        # The sanity check runs the whole validation before the first step: the untrained network.
        step = 0 if trainer.sanity_checking else trainer.global_step
        self._add(trainer, step, {f"val/{name}": value for name, value in values.items()})
        if not math.isfinite(values["loss"]):
            self._diverge(trainer, f"validation loss {values['loss']} at step {step}")
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._resumed_at = time.perf_counter()

    def _add_evaluation(self, pl_module: L.LightningModule) -> None:
        _synchronize(pl_module)
        self.seconds_evaluation += time.perf_counter() - self._evaluating_since

    def _add_training_row(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        values = self._compute(trainer, pl_module, "train")
        step = trainer.global_step
        row = {f"train/{name}": value for name, value in values.items()}
        group = trainer.optimizers[0].param_groups[0]
        row["lr"] = group["lr"] / group["lr_multiplier"] if group["lr_multiplier"] else 0.0
        if self._grad_norm is not None:
            row["train/grad_norm"] = float(self._grad_norm)
            self._grad_norm = None
        self._add(trainer, step, row)
        if not math.isfinite(values["loss"]):
            self._diverge(trainer, f"training loss {values['loss']} by step {step}")
        # Under 16-mixed the scaler probes for the largest finite scale: an overflow there is no divergence.
        elif trainer.precision != "16-mixed" and not math.isfinite(row.get("train/grad_norm", 0.0)):
            self._diverge(trainer, f"gradient norm {row['train/grad_norm']} at step {step}")

    def _compute(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> dict[str, float]:
        assert isinstance(pl_module, Classifier)
        return pl_module.meters[stage].compute(lambda sums: trainer.strategy.reduce(sums, reduce_op="sum"))

    def _add(self, trainer: L.Trainer, step: int, values: dict[str, float]) -> None:
        self.rows.add(step, trainer.current_epoch, self.seconds, values)
        for logger in trainer.loggers:
            logger.log_metrics(values, step)

    def _diverge(self, trainer: L.Trainer, reason: str) -> None:
        # The sums behind the decision are reduced, so every process takes it at the same step.
        self.diverged = reason
        trainer.should_stop = True

    def _pause(self) -> None:
        self._seconds = self.seconds
        self._resumed_at = None


def _synchronize(pl_module: L.LightningModule) -> None:
    if pl_module.device.type != "cpu":
        torch.accelerator.synchronize()  # what is still queued belongs to training
