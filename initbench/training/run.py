"""One run: from a composed config to its record."""

import json
import logging
import os
import traceback
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from lightning.fabric.utilities import registry

from initbench import logger
from initbench.data import ImageDataModule
from initbench.errors import Unwritable, UserMistake
from initbench.record import stopping
from initbench.record.fields import conclusion
from initbench.record.flat import numbers
from initbench.record.lock import lock
from initbench.record.log import logging_to
from initbench.record.provenance import provenance
from initbench.record.stopping import Stopped
from initbench.record.store import COMPLETE, Store, check_writable, now
from initbench.training import trainer
from initbench.training.build import Experiment, assemble
from initbench.training.callbacks.checkpoint import Checkpoint
from initbench.training.callbacks.diagnostics import Diagnostics
from initbench.training.callbacks.history import History
from initbench.training.callbacks.init_table import InitTable
from initbench.training.callbacks.progress import ProgressBar
from initbench.training.compiling import compile_clock
from initbench.training.distributed import spawn
from initbench.training.module import Classifier

# Lightning asks for it at import, for programs that fork; ours spawns. Otherwise every optimizer step of torch loads
# and queries NVML to learn whether there is a GPU.
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "0"
# Lightning reads the metadata of every installed package for each Trainer: ten milliseconds a run of a sweep.
registry.entry_points = cache(registry.entry_points)  # type: ignore[attr-defined, assignment]  # its own import
# Lightning reports its hardware and advertises at each Trainer: once too often in a sweep. Warnings stay.
for name in ("lightning.pytorch", "lightning.fabric"):
    logging.getLogger(name).setLevel(logging.WARNING)
# On a machine of a cluster it advises srun, even where its own SLURM support is off.
warnings.filterwarnings("ignore", message=r"The `srun` command is available on your system")
# Lightning 2.6 still asks torch's pytree in a way that torch 2.13 deprecated; nothing for our users to mend.
warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")


def run(config: dict[str, Any]) -> dict[str, Any] | None:
    """Train one resolved config and return its record, which is also on disk; None where another process is at it.

    A run that was stopped or killed goes on from its checkpoint. Raises UserMistake before anything is written
    where the config cannot be run. Any other exception leaves a record with status `failed` and the traceback, and
    is raised again; Stopped leaves one with status `interrupted`.
    """
    store = Store(config)
    processes, experiment = prepare(config)
    with lock(store.folder) as mine:
        before = store.read() or {}
        if not mine:
            return None
        if before.get("status") in COMPLETE and not config["force"]:
            return before  # finished by another process in the meantime
        return _attempt(store, before, processes, experiment)


def _attempt(store: Store, before: dict[str, Any], processes: int, experiment: Experiment) -> dict[str, Any]:
    config = store.config
    if config["force"] or not before or "traceback" in before:
        # What raised may have been mended, and without a record nobody knows whether it raised: it starts anew.
        store.checkpoint.unlink(missing_ok=True)
    resumed = store.checkpoint.exists()
    started = {
        "attempt": before.get("attempt", 0) + (not resumed),
        "started_at": before["started_at"] if resumed else now(),
        "resumed_at": [*before.get("resumed_at", []), now()] if resumed else [],
    }
    store.write("running", **started, total_steps=experiment.total_steps, provenance=provenance())
    with logging_to(store.folder / "log.txt") as log:
        log.info(f"attempt {started['attempt']} {'goes on' if resumed else 'begins'}")
        try:
            if processes > 1:
                return spawn(train, processes, config, started)
            return _train(config, started, experiment, log)
        except Unwritable as lost:
            log.error(str(lost))  # where the folder of the log has room
            raise
        except UserMistake as mistake:  # an initializer's, which could not be found any earlier
            store.write("refused", **started, finished_at=now(), reason=str(mistake))
            raise
        except BaseException as error:  # a user's function may also exit
            end = {**started, "finished_at": now(), "provenance": provenance()}
            if isinstance(error, Stopped) or stopping.requested():  # of SIGTERM Lightning makes an exception of its own
                log.info("interrupted")
                store.write("interrupted", **end, reason="stopped")
                if isinstance(error, Stopped):
                    raise
                stopping.stop()
            log.exception("failed")
            store.write("failed", **end, reason=_reason(error), traceback=traceback.format_exc())
            raise


def _reason(error: BaseException) -> str:
    advice = ""
    if isinstance(error, torch.OutOfMemoryError):
        advice = " Try trainer.on_oom=halve, a smaller data.batch_size or trainer.precision=bf16-mixed."
    return f"{type(error).__name__}: {error}{advice}"


def _train(
    config: dict[str, Any], started: dict[str, Any], experiment: Experiment, log: logging.Logger
) -> dict[str, Any]:
    """`train`; where the device runs out of memory and `on_oom` allows it, once more with half batches."""
    try:
        return train(config, started, experiment)
    except torch.OutOfMemoryError as error:
        if config["trainer"]["on_oom"] != "halve":
            raise
        log.warning(f"out of memory: once more, each batch in two halves. {error}")
    # Outside of `except`: the exception holds on to the tensors of the attempt.
    torch.cuda.empty_cache()
    again = assemble(config)
    again.learner.micro_batches = 2
    again.data = experiment.data  # the images are on the device already
    return train(config, {**started, "resumed_at": []}, again)


def prepare(config: Mapping[str, Any]) -> tuple[int, Experiment]:
    """The number of processes and everything that they need; all that a user can get wrong is found here."""
    try:
        check_writable(config["runs_dir"])
        processes = trainer.check_devices(config["trainer"])
        experiment = assemble(config)
        for stage in ("train", "val", "test"):  # can each be shared out over the processes?
            experiment.data.loader(stage, torch.device("cpu"), world=processes)
        logger.prepare(config["logger"])
        _check_trainer(json.dumps(config["trainer"]), experiment.data.val_every_n_steps)
    except ValueError as error:
        raise UserMistake(str(error)) from error
    except (Exception, SystemExit) as error:  # a user's class may raise anything
        # Nothing has run yet: a value of the wrong type somewhere in the config is far likelier than a bug of ours.
        kind = type(error).__name__
        raise UserMistake(f"this config cannot be built: {kind}: {error} (HYDRA_FULL_ERROR=1 says where)") from error
    return processes, experiment


@cache  # a fortieth of a second, which every run of a sweep would pay
def _check_trainer(config: str, val_every_n_steps: int) -> None:
    trainer.build(json.loads(config), val_every_n_steps=val_every_n_steps, callbacks=[], loggers=[])


def train(config: dict[str, Any], started: dict[str, Any], experiment: Experiment | None = None) -> dict[str, Any]:
    """Fit, evaluate and write the record: on one process, or on each of several (then without `experiment`)."""
    experiment = experiment or assemble(config)
    store = Store(config)
    is_first = config["trainer"]["devices"] == 1 or os.environ["RANK"] == "0"  # set by spawn
    history = History(config["trainer"]["log_every_n_steps"], store if is_first else None)
    info = logger.RunInfo(
        folder=store.folder,
        study=config["study"],
        name=store.name,
        tags=[config[group]["name"] for group in ("init", "model", "data")],
        config=config,
        signature=store.signature,
        attempt=started["attempt"],
        resumed=bool(started["resumed_at"]),
    )
    loggers = logger.prepare(config["logger"])(info) if is_first else []
    callbacks: list[L.Callback] = [history]
    show = config["diagnostics"]["print"]
    diagnostics = Diagnostics(experiment.schedule, store, history, seed=config["seed"], show=show)
    if is_first:
        callbacks += [ProgressBar(store.name, experiment.total_steps, history), InitTable(store, config["print_init"])]
        callbacks.append(diagnostics)
    callbacks.append(Checkpoint(store.checkpoint, config["checkpoint_seconds"], experiment.total_steps, history))
    exit_code = 1
    try:
        checkpoint = store.checkpoint if started["resumed_at"] else None
        with compile_clock(history) if config["trainer"]["compile"] else nullcontext():
            outcome = fit(build_trainer(config, experiment, callbacks, loggers), experiment, history, checkpoint)
        record = summarize(config, store, started, experiment, history, diagnostics, outcome)
        if is_first:
            what = {key: record[key] for key in ("status", "reason", "total_steps")}
            logger.summarize(loggers, {**what, **numbers(record)})
        exit_code = 0
        return record
    finally:
        history.rows.flush()
        diagnostics.flush()
        logger.close(loggers, exit_code=exit_code)


def build_trainer(
    config: Mapping[str, Any], experiment: Experiment, callbacks: list[L.Callback], loggers: list[Any]
) -> L.Trainer:
    return trainer.build(
        config["trainer"],
        val_every_n_steps=experiment.data.val_every_n_steps,
        callbacks=callbacks,
        loggers=loggers,
    )


def fit(
    lightning_trainer: L.Trainer, experiment: Experiment, history: History, checkpoint: Path | None
) -> dict[str, Any]:
    """Train; unless the run diverged, evaluate once more at the end, and read the test set, once."""
    classifier, datamodule = Classifier(experiment.learner), ImageDataModule(experiment.data)
    # weights_only: the checkpoint is our own, and holds more than tensors.
    lightning_trainer.fit(classifier, datamodule=datamodule, ckpt_path=checkpoint, weights_only=False)
    if history.diverged:
        return {"status": "diverged", "reason": history.diverged, "test": {}}
    if not history.rows.evaluated_at(lightning_trainer.global_step):
        lightning_trainer.validate(classifier, datamodule=datamodule, verbose=False)
    if history.diverged:
        return {"status": "diverged", "reason": history.diverged, "test": {}}
    lightning_trainer.test(classifier, datamodule=datamodule, verbose=False)
    reduce = partial(lightning_trainer.strategy.reduce, reduce_op="sum")
    return {"status": "finished", "reason": None, "test": classifier.meters["test"].compute(reduce)}


def summarize(
    config: Mapping[str, Any],
    store: Store,
    started: dict[str, Any],
    experiment: Experiment,
    history: History,
    diagnostics: Diagnostics,
    outcome: dict[str, Any],
) -> dict[str, Any]:
    """The finished record; written by the first process."""
    parts = {
        **started,
        **conclusion(experiment, history.rows, outcome),
        "seconds_train": history.seconds,
        "seconds_evaluation": history.seconds_evaluation,
        "seconds_compile": history.seconds_compile,
        "seconds_diagnostics": diagnostics.seconds,
        "diagnostics": {"steps": diagnostics.steps, "missing": diagnostics.missing},
    }
    if history.rows.store is None:
        return {"status": outcome["status"], **parts}
    history.rows.flush()
    diagnostics.flush()
    record = store.write(outcome["status"], **parts)
    store.checkpoint.unlink(missing_ok=True)
    return record
