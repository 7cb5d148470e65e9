"""One run by Lightning: from a resolved config to its record."""

import os
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache, partial
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from lightning.fabric.utilities import registry
from torch import Tensor

from initbench.config.check import check
from initbench.data import DataModule
from initbench.data.batches import Loader
from initbench.errors import UserMistake
from initbench.record.checkpoint import CheckpointFile
from initbench.record.history import History
from initbench.record.life import Life, claimed, log_summary, under_way
from initbench.record.log import note
from initbench.record.plain import PlainConfig, Record
from initbench.record.store import Store, check_writable
from initbench.schema.config import AnyConfig, ModuleConfig, Trainer
from initbench.training import own_module, trainer
from initbench.training.build import RunParts, build_run
from initbench.training.callbacks.checkpoint import Checkpoint
from initbench.training.callbacks.progress import ProgressBar
from initbench.training.callbacks.recorder import Recorder
from initbench.training.module import TaskModule
from initbench.training.own_module import ModuleParts, build_own_module

# Lightning asks for it at import, for programs that fork; ours spawns. With it every optimizer step of torch queries
# NVML to learn whether there is a GPU: 48 microseconds instead of less than one, even where there is none.
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
# Lightning reads the metadata of every installed package for each Trainer: ten milliseconds per run of a sweep.
registry.entry_points = cache(registry.entry_points)  # type: ignore[attr-defined, assignment]  # its own import
# On a machine of a cluster it advises srun, even where its own SLURM support is off.
warnings.filterwarnings("ignore", message=r"The `srun` command is available on your system")
# Lightning 2.6 still asks torch's pytree in a way that torch 2.13 deprecated; nothing for our users to mend.
warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")


Parts = RunParts | ModuleParts


def run(config: PlainConfig) -> Record | None:
    """Train one resolved config and return its record, which is also on disk; None where another process is at it.

    A run that was stopped or killed continues from its checkpoint. Raises UserMistake before anything is written
    where the config cannot be run. Any other exception is in the record (see `initbench.record.life`), and is raised
    again.
    """
    processes, parts = prepare(check(config))
    store = Store(config)
    with claimed(store) as life:
        if life is None:
            return None
        if life.is_complete:
            return life.before  # finished by another process in the meantime
        checkpoint = checkpoint_of(store)
        if life.starts_anew:
            checkpoint.remove()
        with under_way([life]):
            life.begin(parts.total_steps, parts.metric, resumes=checkpoint.load() is not None)
            record = _train_on_several(processes, life) if processes > 1 else _train_alone(life, parts)
        checkpoint.remove()
        return record


def prepare(config: AnyConfig) -> tuple[int, Parts]:
    """The number of processes and everything that they need; all that a user can get wrong is found here."""
    try:
        check_writable(config.runs_dir)
        processes = trainer.check_devices(config.trainer)
        parts = _build(config)
        val_every_n_steps = None
        if isinstance(parts, RunParts):
            for stage in ("train", "val", "test"):  # can each be shared out over the processes?
                parts.data.loader(stage, torch.device("cpu"), world=processes)
            val_every_n_steps = parts.data.val_every_n_steps
        _check_trainer(config.trainer, val_every_n_steps)
    except ValueError as error:
        raise UserMistake(str(error)) from error
    except (Exception, SystemExit) as error:  # a user's class may raise anything
        # Nothing has run yet: a value of the wrong type somewhere in the config is far likelier than a bug of ours.
        kind = type(error).__name__
        raise UserMistake(f"this config cannot be built: {kind}: {error} (HYDRA_FULL_ERROR=1 says where)") from error
    return processes, parts


# What Lightning writes into a checkpoint, and needs.
_OF_LIGHTNING = (
    "pytorch-lightning_version",
    "epoch",
    "global_step",
    "loops",
    "callbacks",
    "state_dict",
    "optimizer_states",
    "lr_schedulers",
)


@cache  # a fortieth of a second, which every run of a sweep would pay
def _check_trainer(config: Trainer, val_every_n_steps: int | None) -> None:
    trainer.build(config, val_every_n_steps=val_every_n_steps, callbacks=[], loggers=[])


def checkpoint_of(store: Store) -> CheckpointFile:
    return CheckpointFile(store.checkpoint, store.folder.name, store.typed.checkpoint_seconds, _OF_LIGHTNING)


def _build(config: AnyConfig) -> Parts:
    return build_own_module(config) if isinstance(config, ModuleConfig) else build_run(config)


def _train_alone(life: Life, parts: Parts) -> Record:
    """`train`; where the device runs out of memory and `on_oom` allows it, once more with half batches."""
    try:
        return train(life, parts)
    except torch.OutOfMemoryError as error:
        if life.store.typed.trainer.on_oom != "halve":
            raise
        note(life.log, f"out of memory: trying again with each batch in two halves. {error}")
    # Outside of `except`: the exception holds on to the tensors of the attempt.
    torch.cuda.empty_cache()
    again = _build(life.store.typed)
    assert isinstance(again, RunParts)  # on_oom=halve is for no other
    assert isinstance(parts, RunParts)
    again.recipe.micro_batches = 2
    again.data = parts.data  # the images are on the device already
    life.started["resumed_at"] = []
    return train(life, again)


def _train_on_several(processes: int, life: Life) -> Record:
    from initbench.training.distributed import spawn

    record: Record = spawn(_train_rank, processes, life)
    return record


def _train_rank(life: Life) -> Any:
    """`train` on one of several processes; the first writes the record and returns it."""
    return train(life, _build(life.store.typed), is_first=os.environ["RANK"] == "0")


def train(life: Life, parts: Parts, *, is_first: bool = True) -> Any:
    """Fit, evaluate, and end the life of the run; the record, in the first process."""
    if isinstance(parts, ModuleParts):
        return own_module.train(life, parts, checkpoint_of(life.store), is_first=is_first)
    store, config = life.store, life.store.typed
    resumes = bool(life.started["resumed_at"])
    history = History(store if is_first else None)
    recorder = Recorder(history, config.trainer.log_every_n_steps)
    callbacks: list[L.Callback] = [recorder]
    with ExitStack() as stack:
        stack.callback(history.flush)
        more: Callable[[], Record] = dict
        if is_first:
            progress = ProgressBar(store.name, parts.total_steps, history, parts.recipe.task.metric.name)
            callbacks.append(progress)
            if parts.schedule:
                from initbench.training.callbacks.diagnostics import Diagnostics
                from initbench.training.diagnoses import Diagnoses

                diagnoses = Diagnoses(parts, store)
                callbacks.append(Diagnostics(diagnoses, recorder))
                stack.callback(diagnoses.flush)
                more = diagnoses.fields
        callbacks.append(Checkpoint(checkpoint_of(store), parts.total_steps, recorder))
        loggers: list[Any] = []
        if is_first:
            loggers = stack.enter_context(life.logged(parts.open_loggers, resumes=resumes))
        lightning_trainer = trainer.build(
            config.trainer,
            val_every_n_steps=parts.data.val_every_n_steps,
            callbacks=callbacks,
            loggers=loggers,
        )
        if config.trainer.compile:
            from initbench.training.compiling import compile_clock

            stack.enter_context(compile_clock(recorder))
        test, values = fit(lightning_trainer, parts, history, store.checkpoint if resumes else None)
        if not is_first:
            return None
        record = life.end(
            history,
            {**parts.recipe.fields(), **more()},
            values=None if values is None else values.numpy(),
            test=test,
            metric=parts.recipe.task.metric,
            chance_loss=parts.recipe.task.chance_loss,
            targets=parts.targets,
            seconds_init=parts.recipe.seconds_init,
        )
        log_summary(loggers, record)
        return record


def fit(
    lightning_trainer: L.Trainer, parts: RunParts, history: History, checkpoint: Any
) -> tuple[dict[str, float], Tensor | None]:
    """Train and evaluate once more at the end; loss and metric on the test set, which is read once.

    And what is kept of each test sample, in the order of the test set. Empty and None where the run diverged.
    """
    module, datamodule = TaskModule(parts.recipe, keeps_outputs=parts.data.keeps_outputs), DataModule(parts.data)
    lightning_trainer.fit(module, datamodule=datamodule, ckpt_path=checkpoint, weights_only=True)
    if not history.diverged and not history.evaluated_at(lightning_trainer.global_step):
        lightning_trainer.validate(module, datamodule=datamodule, verbose=False)
    if history.diverged:
        return {}, None
    lightning_trainer.test(module, datamodule=datamodule, verbose=False)
    reduce = partial(lightning_trainer.strategy.reduce, reduce_op="sum")
    meter = module.meters["test"]
    return meter.compute(reduce), _in_order(torch.cat(meter.values), datamodule.test_dataloader(), reduce).cpu()


def _in_order(values: Tensor, loader: Loader, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """The values (N, C) of all samples in the order of the dataset, from those that the loader of each process read."""
    places = torch.cat(list(loader.sampler)).to(values.device)
    return reduce(values.new_zeros(len(loader.inputs), values.shape[1]).index_copy(0, places, values))
