"""A run of a LightningModule of the user's own: built, initialized by a callback, and recorded from what it logs."""

import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException

from initbench import generators, logger
from initbench.callbacks.initialize import Initialize
from initbench.callbacks.logged import Logged
from initbench.errors import UserMistake
from initbench.init import Initializer
from initbench.logger import Opening
from initbench.metric import Metric
from initbench.record.checkpoint import CheckpointFile
from initbench.record.history import History
from initbench.record.life import Life, log_summary
from initbench.record.own import end
from initbench.schema import target
from initbench.schema.config import ModuleConfig
from initbench.task import LightningTask
from initbench.training import trainer
from initbench.training.callbacks.epoch_checkpoint import EpochCheckpoint
from initbench.training.callbacks.progress import ProgressBar
from initbench.training.init_table import keep_table


@dataclass
class ModuleParts:
    task: LightningTask
    module: L.LightningModule
    datamodule: L.LightningDataModule | None
    initialize: Initialize
    generators: dict[str, Any]  # their states once module and data are built, from which training goes on
    open_loggers: Opening
    total_steps: None = None  # known when the fit has begun

    @property
    def metric(self) -> Metric:
        return self.task.metric


def build_own_module(config: ModuleConfig) -> ModuleParts:
    """Build everything that a run is made of. Raises ValueError for whatever the user got wrong."""
    task: LightningTask = target.call("task", config.task.node)
    generators.seed_all(config.drawn_from.weights)
    module, datamodule = task.build()
    if config.seeds.order is not None:  # of whatever is drawn from now on
        generators.seed_all(config.seeds.order)
    states = generators.states()
    if any(True for _ in module.parameters()):  # else configure_model makes them when the fit begins
        Initializer.from_config(config.init.node).plan(module)
    initialize = Initialize(config.init.node, seed=config.drawn_from.weights, **task.for_initializers)
    return ModuleParts(task, module, datamodule, initialize, states, logger.prepare(config.logger.node))


class _Recorder(Logged):
    """Tells the record what begins, and stops a run that diverges. `progress`: in the first process."""

    def __init__(self, metric: Metric, history: History, life: Life, parts: ModuleParts) -> None:
        super().__init__(metric, history)
        self.life, self.parts = life, parts
        self.progress: ProgressBar | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        total = trainer.estimated_stepping_batches  # loads the training data, so every process asks
        if total == 0:
            raise UserMistake(f"the training data of {type(pl_module).__name__} has no batch")
        if self.progress is not None and 0 < total < float("inf"):
            self.life.expect(int(total))
            self.progress.expect(int(total))

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        if self.progress is not None:
            keep_table(self.parts.initialize.table, self.life.store)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        super().on_validation_end(trainer, pl_module)
        if trainer.strategy.reduce_boolean_decision(self.history.diverged is not None, all=False):
            trainer.should_stop = True


def train(life: Life, parts: ModuleParts, checkpoint: CheckpointFile, *, is_first: bool) -> Any:
    """Fit, and end the life of the run; the record, in the first process."""
    store, config = life.store, life.store.typed
    resumes = bool(life.started["resumed_at"])
    history = History(store if is_first else None)
    recorder = _Recorder(parts.metric, history, life, parts)
    callbacks: list[L.Callback] = [parts.initialize, recorder]
    with ExitStack() as stack:
        stack.callback(history.flush)
        loggers: list[Any] = []
        if is_first:
            recorder.progress = ProgressBar(store.name, None, history, parts.metric.name)
            callbacks.append(recorder.progress)
            loggers = stack.enter_context(life.logged(parts.open_loggers, resumes=resumes))
        callbacks.append(EpochCheckpoint(checkpoint, recorder))
        lightning_trainer = trainer.build(config.trainer, callbacks=callbacks, loggers=loggers, folder=store.folder)
        generators.restore(parts.generators)
        try:
            lightning_trainer.fit(
                parts.module,
                datamodule=parts.datamodule,
                ckpt_path=store.checkpoint if resumes else None,
                weights_only=True,
            )
        except torch.OutOfMemoryError:
            raise
        except (MisconfigurationException, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            # Lightning refuses a module or a loader by one of these, mostly before the first step.
            if isinstance(error, MisconfigurationException) or (
                lightning_trainer.global_step == 0 and _is_lightnings(error)
            ):
                raise UserMistake(f"{type(parts.module).__name__}: {' '.join(str(error).split())}") from error
            raise
        final = recorder.final(lightning_trainer)
        if not is_first:
            return None
        record = end(
            life,
            history,
            parts.metric,
            final,
            table=parts.initialize.table,
            seconds_init=parts.initialize.seconds,
            more={**parts.initialize.fields(), "device": str(parts.module.device)},
            targets=parts.task.targets,
        )
        log_summary(loggers, record)
        return record


def _is_lightnings(error: Exception) -> bool:
    """Whether Lightning itself has raised an error, and not what it calls."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("lightning.")
