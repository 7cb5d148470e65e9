"""Saves a run whose data loaders are the user's own, at the beginning of an epoch."""

from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling

from initbench import generators
from initbench.callbacks.clock import Clock
from initbench.record import stopping
from initbench.record.checkpoint import CheckpointFile


class EpochCheckpoint(L.Callback):
    """Writes the checkpoint when it is due; a signal that asks the run to stop ends it after a batch.

    Nobody knows where in an epoch a loader is. So a run that was stopped or killed repeats the epoch that it was in,
    from the same state of weights, optimizers and random generators.
    """

    def __init__(self, file: CheckpointFile, clock: Clock) -> None:
        self.file = file
        self.clock = clock
        self._loaded: list[dict[str, Any]] | None = None  # the generators of each process

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["owner"] = self.file.owner
        checkpoint["generators"] = _of_all(trainer, generators.states())
        for key in ("hyper_parameters", "datamodule_hyper_parameters"):  # the config has them, in plain values
            checkpoint.pop(key, None)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint["generators"]

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        stopping.take_back()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if self._loaded is not None:
            generators.restore(self._loaded[trainer.global_rank])
            self._loaded = None
            # The epoch begins like any other, and with it the loader. To Lightning it would be one that goes on.
            trainer.fit_loop.restarting = False
            trainer.fit_loop._resuming_from_checkpoint = False
        elif trainer.current_epoch and trainer.strategy.broadcast(self.file.is_due()):
            with self.clock.stopped(pl_module):
                # By the first process; the others wait for it.
                self.file.save(trainer.save_checkpoint, is_first=trainer.is_global_zero)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if stopping.requested():
            stopping.stop()


def _of_all(trainer: L.Trainer, states: dict[str, Any]) -> list[dict[str, Any]]:
    """The states of all processes, in the order of their ranks."""
    if trainer.world_size == 1:
        return [states]
    import torch.distributed as dist

    gathered: list[dict[str, Any]] = [{}] * trainer.world_size
    dist.all_gather_object(gathered, states)
    return gathered
