"""Diagnoses a network while it trains, without a trace in its numbers."""

import time
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling

from initbench.console import console, errors
from initbench.diagnostics.diagnose import diagnose
from initbench.diagnostics.diagnosis import Diagnosis
from initbench.diagnostics.schedule import Schedule
from initbench.record.history import FLUSH_SECONDS
from initbench.record.plain import Record, Row
from initbench.record.store import Store
from initbench.training.callbacks.recorder import Recorder
from initbench.training.module import TaskModule


class Diagnostics(L.Callback):
    """Writes layers.parquet, tidy rows {step, layer, quantity, index, value}, and sends scalars to the loggers.

    On the first process alone, on the same batch each time, with the training clock stopped. What cannot be
    diagnosed is said once, in one line, and is in `missing`; training goes on.
    """

    def __init__(self, schedule: Schedule, store: Store, recorder: Recorder, *, seed: int, show: bool) -> None:
        self.schedule = schedule
        self.store = store
        self.recorder = recorder
        self.seed = seed
        self.show = show
        self.seconds = 0.0
        self.steps: list[int] = []
        self.missing: dict[str, str] = {}
        self._rows: list[Row] = []
        self._flushed_at = 0.0

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self._rows, "seconds": self.seconds, "steps": self.steps, "missing": self.missing}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._rows, self.seconds = state_dict["rows"], state_dict["seconds"]
        self.steps, self.missing = state_dict["steps"], state_dict["missing"]

    # Not on_fit_start: callbacks' runs before the module's, which is where the initializer is applied.
    def on_sanity_check_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._diagnose(trainer, pl_module, step=0)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._diagnose(trainer, pl_module, trainer.global_step)

    def fields(self) -> Record:
        """What the record says about them; layers.parquet is complete then."""
        self.flush()
        return {
            "seconds_diagnostics": self.seconds,
            "diagnostics": {"steps": self.steps, "missing": self.missing},
        }

    def flush(self) -> None:
        if self._rows:
            self.store.write_table("layers", self._rows)
        self._flushed_at = time.monotonic()

    def _diagnose(self, trainer: L.Trainer, pl_module: L.LightningModule, step: int) -> None:
        if step not in self.schedule:
            return
        assert isinstance(pl_module, TaskModule)
        with self.recorder.stopped(pl_module):
            started = time.perf_counter()
            task = pl_module.recipe.task
            inputs, targets = task.batch(*trainer.datamodule.data.fixed_batch(pl_module.device))  # type: ignore[attr-defined]  # Lightning sets it
            if inputs.dim() == 4:
                inputs = inputs.contiguous(memory_format=pl_module.memory_format)
            try:
                diagnosis = diagnose(pl_module.model, (inputs, targets), loss=task.loss, seed=self.seed)
            except Exception as error:  # a model of one's own may do anything; that it trains is what counts
                self._miss({"layers": f"{type(error).__name__}: {error}".splitlines()[0]})
            else:
                self._miss(diagnosis.missing)
                self._keep(trainer, diagnosis, step)
            self.seconds += time.perf_counter() - started

    def _keep(self, trainer: L.Trainer, diagnosis: Diagnosis, step: int) -> None:
        self.steps.append(step)
        self._rows += [{"step": step, **row} for row in diagnosis.rows()]
        if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self.flush()
        scalars = {f"diagnostics/{name}": value for name, value in diagnosis.scalars().items()}
        for logger in trainer.loggers:
            logger.log_metrics(scalars, step)
        if step == 0 and self.show:
            console.print(diagnosis)

    def _miss(self, missing: dict[str, str]) -> None:
        for quantity, reason in missing.items():
            if quantity not in self.missing:
                errors.print(f"diagnostics: no {quantity}: {reason}", markup=False, soft_wrap=True)
        self.missing = {**missing, **self.missing}
