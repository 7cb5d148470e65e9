"""Diagnoses a network while Lightning trains it."""

from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling

from initbench.training.callbacks.recorder import Recorder
from initbench.training.diagnoses import Diagnoses
from initbench.training.module import TaskModule


class Diagnostics(L.Callback):
    """Diagnoses at the steps that the config asks for, on the first process alone, with the training clock stopped."""

    def __init__(self, diagnoses: Diagnoses, recorder: Recorder) -> None:
        self.diagnoses = diagnoses
        self.recorder = recorder

    def state_dict(self) -> dict[str, Any]:
        return self.diagnoses.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.diagnoses.load_state_dict(state_dict)

    # Not on_fit_start: callbacks' runs before the module's, which is where the initializer is applied.
    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._diagnose(trainer, pl_module, step=0)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._diagnose(trainer, pl_module, trainer.global_step)

    def _diagnose(self, trainer: L.Trainer, pl_module: L.LightningModule, step: int) -> None:
        if not self.diagnoses.are_due(step):
            return
        assert isinstance(pl_module, TaskModule)
        with self.recorder.stopped(pl_module):
            values = self.diagnoses.add(pl_module.model, step, trainer.optimizers[0])
            for logger in trainer.loggers if values else []:
                logger.log_metrics(values, step)
