"""From the trainer config to a lightning.Trainer, with a user's mistake as one ValueError."""

import inspect
import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import lightning.pytorch as L  # noqa: N812 - Lightning's own spelling
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import DDPStrategy, Strategy

from initbench.errors import nearest
from initbench.schema.config import Trainer
from initbench.training.compute import set_rounding
from initbench.workers.cores import cores

_ARGUMENTS = list(inspect.signature(L.Trainer.__init__).parameters)[1:]
# Keys of conf/trainer/ that Lightning does not know; all others, misspelt ones too, are for it to take or to refuse.
_OURS = Trainer.model_fields.keys() - _ARGUMENTS


def build(
    config: Trainer,
    *,
    callbacks: list[L.Callback],
    loggers: list[Logger],
    val_every_n_steps: int | None = None,
    folder: Path | None = None,
) -> L.Trainer:
    """The Trainer. Raises ValueError for an argument or value that it does not take, devices included.

    val_every_n_steps: None for a module of the user's own, whose validation and samplers are Lightning's business.
    folder: where callbacks of the user's own write.
    """
    # Lightning reports its hardware and advertises at each Trainer: once too often in a sweep. Warnings stay. The other
    # two are the same packages by their old names, which a user's own module may import.
    for name in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    set_rounding(config)
    if config.on_oom == "halve" and config.devices > 1:
        raise ValueError("trainer.on_oom=halve is for one device; with more, each has a part of the batch already")
    arguments = {
        "benchmark": False,
        "profiler": _NoProfiler(),
        **{key: value for key, value in config.node.items() if key not in _OURS},
    }
    arguments["max_steps"] = -1 if arguments["max_steps"] is None else arguments["max_steps"]
    ours: dict[str, Any] = {
        "val_check_interval": val_every_n_steps,  # a fixed cadence in steps, whatever an epoch is
        "check_val_every_n_epoch": None,
        "use_distributed_sampler": False,  # the data module shards by itself
        "num_sanity_val_steps": -1,  # the whole validation before the first step
    }
    if val_every_n_steps is None:
        arguments, ours = {"num_sanity_val_steps": -1, **arguments}, {}
    else:
        # Our Recorder logs. Lightning logs nothing then, and would warn about an epoch with fewer steps than this.
        arguments["log_every_n_steps"] = 0
    try:
        trainer = L.Trainer(
            **arguments,
            **ours,
            strategy=_strategy(config.devices),
            plugins=[_environment(config.devices)],
            callbacks=callbacks,
            logger=loggers or False,
            default_root_dir=folder,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
    except (TypeError, ValueError, RuntimeError, MisconfigurationException) as error:
        raise ValueError(f"trainer: {_explain(error, arguments)}") from error
    # Lightning turns this on with deterministic=True; it costs a fill of every torch.empty and guards only
    # against reading memory that was never written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # set on the module
    return trainer


class _NoProfiler(PassThroughProfiler):
    """Lightning's own, unless the user asks for another, without a generator for each of the forty hooks of a step."""

    _nothing = nullcontext("")

    def profile(self, action_name: str) -> AbstractContextManager[str]:  # type: ignore[override]  # a generator there
        return self._nothing


def check_devices(config: Trainer) -> int:
    """The number of processes. Raises ValueError where `devices` are more than there are."""
    on_gpu = config.accelerator in ("gpu", "cuda") or (config.accelerator == "auto" and torch.cuda.is_available())
    there = torch.cuda.device_count() if on_gpu else cores()
    if config.devices > there:
        kind = "GPUs" if on_gpu else "CPU cores, one a process"
        raise ValueError(f"trainer.devices={config.devices}, but this machine has {there} {kind}")
    return config.devices


def _environment(devices: int) -> ClusterEnvironment:
    """Never what Lightning finds around it: inside a SLURM job it would count tasks and requeue by itself."""
    ours = devices > 1 and TorchElasticEnvironment.detect()  # of `initbench.training.distributed`
    return TorchElasticEnvironment() if ours else LightningEnvironment()


def _strategy(devices: int) -> str | Strategy:
    return "auto" if devices == 1 else DDPStrategy(gradient_as_bucket_view=True)


def _explain(error: Exception, arguments: Mapping[str, Any]) -> str:
    message = str(error).replace("\n", " ")
    if "unexpected keyword argument" in message:
        wrong = message.rsplit("'", 2)[1]
        return f"lightning.Trainer has no argument {wrong!r}.{nearest(wrong, _ARGUMENTS)}"
    if "multiple values for keyword argument" in message:
        given = message.rsplit("'", 2)[1]
        return f"{given} is set by initbench; callbacks of a module of your own are those of its configure_callbacks"
    return message
