"""Saves a run as it is trained, so that one that was killed continues as if nothing had happened, bit for bit."""

from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling

from initbench.record import stopping
from initbench.record.checkpoint import CheckpointFile
from initbench.training.callbacks.recorder import Recorder


class Checkpoint(L.Callback):
    """Writes the checkpoint when it is due, and once more when a signal asks the run to stop.

    It comes after the recorder in the list of callbacks, whose rows it saves. Lightning 2.6 resumes exactly from two
    places: the end of a batch that no validation follows, and the end of a validation. Under DDP only steps that
    become a row are places, so that the processes agree without talking at each step.
    """

    def __init__(self, file: CheckpointFile, total_steps: int, recorder: Recorder) -> None:
        self.file = file
        self.total_steps = total_steps
        self.recorder = recorder

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["owner"] = self.file.owner

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        stopping.take_back()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert trainer.val_check_batch  # trainer.build gives a number of steps
        if trainer.global_step % trainer.val_check_batch:
            self._save_if_due(trainer, pl_module)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if trainer.validating and trainer.fit_loop.epoch_loop.batch_progress.total.ready:
            self._save_if_due(trainer, pl_module)

    def _save_if_due(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self.recorder.history.diverged or trainer.global_step == self.total_steps:
            return  # what is left is shorter than resuming here; Lightning would not call on_train_end again
        if trainer.world_size > 1 and trainer.global_step % self.recorder.log_every_n_steps:
            return
        due = stopping.requested() or self.file.is_due()
        due, wanted = trainer.strategy.broadcast((due, stopping.requested()))
        if due:
            with self.recorder.stopped(pl_module):
                # By the first process; the others wait for it.
                self.file.save(trainer.save_checkpoint, is_first=trainer.is_global_zero)
        if wanted:
            stopping.stop()
