"""Saves a run as it goes, so that a killed one goes on as if nothing had happened, bit for bit."""

import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling

from initbench.record import stopping
from initbench.record.store import CHECKPOINTS_MOST_OF_TIME, writing
from initbench.training.callbacks.history import History


class Checkpoint(L.Callback):
    """Writes checkpoint.ckpt at most every `seconds`, and once more when a signal asks the run to stop.

    It stands after the history in the list of callbacks, whose rows it saves. Lightning 2.6 goes on exactly from two
    places: the end of a batch that no validation follows, and the end of a validation. Under DDP only steps that
    become a row are places, so that the processes agree without talking at each step.
    """

    def __init__(self, path: Path, seconds: float, total_steps: int, history: History) -> None:
        self.path = path
        self.seconds = seconds
        self.total_steps = total_steps
        self.history = history
        self._saved_at = time.monotonic()
        self._cost = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        stopping.take_back()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert trainer.val_check_batch  # build_trainer gives a number of steps
        if trainer.global_step % trainer.val_check_batch:
            self._save_if_due(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.validating and trainer.fit_loop.epoch_loop.batch_progress.total.ready:
            self._save_if_due(trainer, pl_module)

    def _save_if_due(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.history.diverged or trainer.global_step == self.total_steps:
            return  # what is left is shorter than going on from here; Lightning would not call on_train_end again
        if trainer.world_size > 1 and trainer.global_step % self.history.log_every_n_steps:
            return
        pause = max(self.seconds, self._cost / CHECKPOINTS_MOST_OF_TIME)
        due = stopping.requested() or time.monotonic() - self._saved_at > pause
        due, wanted = trainer.strategy.broadcast((due, stopping.requested()))
        if due:
            with self.history.stopped(pl_module):
                self._save(trainer)
        if wanted:
            stopping.stop()

    def _save(self, trainer: L.Trainer) -> None:
        started = time.monotonic()
        part = self.path.with_suffix(".part")
        try:
            with writing(self.path):
                trainer.save_checkpoint(part)  # by the first process; the others wait for it
                if trainer.is_global_zero:
                    part.replace(self.path)
        finally:
            if trainer.is_global_zero:
                part.unlink(missing_ok=True)
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - started
