"""`hydra/launcher=local`: its keys, and the launcher.

Hydra imports this module at every start, whichever launcher is chosen: what only a launch needs is imported there.
"""

import atexit
import logging
import pickle
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from initbench.wording import count
from initbench.workers.reply import failed, outcome
from initbench.workers.slots import Slots

if TYPE_CHECKING:
    from initbench.workers.pool import Pool

log = logging.getLogger(__name__)


@dataclass
class LocalLauncherConf:
    _target_: str = "hydra_plugins.local_launcher.launcher.LocalLauncher"
    slots: int | None = (
        None  # jobs at a time; null: devices x runs_per_device, without devices cores / threads_per_slot
    )
    runs_per_device: int = 1
    devices: Any = None  # null: all visible GPUs; a number of them; a list of values for CUDA_VISIBLE_DEVICES
    threads_per_slot: int | None = None  # CPU threads of a job; null: cores / slots
    stop_seconds: float = 4.0  # for jobs to end by themselves on Ctrl-C or SIGTERM, before they are killed


ConfigStore.instance().store(group="hydra/launcher", name="local", node=LocalLauncherConf, provider="local_launcher")


class LocalLauncher(Launcher):
    """Workers start with the first jobs and stay, over all batches of a sweeper, until the program ends."""

    preload: tuple[str, ...] = ()  # modules that a worker imports as it starts

    def __init__(self, stop_seconds: float, **slots: Any) -> None:
        self.slots = Slots(**slots)
        self.environments = self.slots.environments()
        self.stop_seconds = stop_seconds
        self.pool: Pool | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, whatever becomes of any; return in their order. What failed is a JobReturn that says so."""
        if OmegaConf.select(self.config, "dry_run"):  # here, as what a worker prints is not seen
            from hydra._internal.core_plugins.basic_launcher import BasicLauncher

            here = BasicLauncher()
            here.setup(hydra_context=self.hydra_context, task_function=self.task_function, config=self.config)
            return here.launch(job_overrides, initial_job_idx)
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        log.info(f"Launching {count(len(job_overrides), 'job')} on {count(len(self.environments), 'slot')}")
        returns: dict[int, JobReturn] = {}

        def composed() -> Iterator[tuple[int, bytes]]:
            for index, overrides in enumerate(job_overrides):
                log.info(f"\t#{initial_job_idx + index} : {' '.join(filter_overrides(overrides))}")
                try:
                    job = pickle.dumps((None, self.compose(overrides, initial_job_idx + index)))
                except Exception as error:  # this job's failure, no more
                    returns[index] = failed(error)
                else:
                    yield index, job

        with self.warm_pool().at_work() as pool:
            for index, reply in pool.run(composed()):
                returns[index] = outcome(reply)
        for index, overrides in enumerate(job_overrides):
            returns[index].overrides = returns[index].overrides or list(overrides)
        return [returns[index] for index in range(len(job_overrides))]

    def compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        from initbench.sweep.compose import job_config

        return job_config(self.hydra_context.config_loader, self.config, overrides, number)

    def warm_pool(self) -> "Pool":
        if self.pool is None:
            import cloudpickle

            from initbench.workers.pool import Pool

            # The task is often defined in __main__, which a worker does not import: it travels by value.
            context = (Singleton.get_state(), self.hydra_context, self.task_function)
            setup = cloudpickle.dumps((sys.argv, sys.orig_argv, self.preload, *context))
            self.pool = Pool(self.environments, setup, self.stop_seconds)
            atexit.register(self.pool.close)
        return self.pool
