"""`hydra/launcher=packed` and `hydra/launcher=auto`: their keys, and the launcher of both.

Hydra imports this module at every start, whichever launcher is chosen: what only a launch needs is imported there.
"""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.local_launcher.launcher import LocalLauncher, LocalLauncherConf

if TYPE_CHECKING:
    from initbench.packed.queue import Jobs, Packing
    from initbench.record.store import Store


@dataclass
class PackedLauncherConf(LocalLauncherConf):
    _target_: str = "hydra_plugins.packed_launcher.launcher.PackedLauncher"
    replicas: int = 64  # at most so many runs at once in a slot; halved where memory runs out
    measure: bool = False  # pack only what then trains faster, as measured once for each model on this machine


@dataclass
class AutoLauncherConf(PackedLauncherConf):
    measure: bool = True


for name, node in {"packed": PackedLauncherConf, "auto": AutoLauncherConf}.items():
    ConfigStore.instance().store(group="hydra/launcher", name=name, node=node, provider="packed_launcher")


class PackedLauncher(LocalLauncher):
    """Trains packs in the slots of `local`, and there, one by one, the runs that cannot be packed."""

    preload = ("initbench.packed.train",)

    def __init__(self, replicas: int, measure: bool, stop_seconds: float, **slots: Any) -> None:
        from initbench.packed.telling import Telling

        super().__init__(stop_seconds, **slots)
        if replicas < 1:
            raise ValueError(f"hydra.launcher.replicas must be at least 1, got {replicas}")
        self.replicas = replicas
        self.measure = measure
        self._expects = False
        self.telling = Telling()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        processes = OmegaConf.select(config, "trainer.devices")
        if isinstance(processes, int) and processes > 1:
            self.slots = self.slots.for_processes(processes)
            self.environments = self.slots.environments()

    def expect(self, jobs: int) -> None:
        """A whole sweep has so many: where that is less than there are slots, each has more threads.

        What is said first counts, as the rest of a sweep must run on as many threads as the whole did.
        """
        if not self._expects and self.slots.slots is None and jobs < len(self.environments):
            self.environments = replace(self.slots, slots=jobs).environments()
        self._expects = True

    def say_how(self, job_overrides: Sequence[Sequence[str]]) -> None:
        """What `launch` would say as it begins: which of the runs would be trained together."""
        from initbench.packed.queue import forecast, tell

        tell(forecast(self._jobs(job_overrides, 0), self._packing()))

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, whatever becomes of any; return in their order. What failed is a JobReturn that says so."""
        from initbench.packed.queue import Queue

        if self.config.dry_run:  # each job says what it would be
            return super().launch(job_overrides, initial_job_idx)
        setup_globals()
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        self.expect(len(job_overrides))
        try:
            with self.warm_pool().at_work() as pool:
                pool.start()
                queue = Queue(self._jobs(job_overrides, initial_job_idx), self._packing(), self.telling)
                for number, reply in pool.run(queue):
                    queue.take(number, reply)
        except BaseException:  # Ctrl-C too
            self.telling.kill()
            raise
        returns = queue.returns()
        for answer, overrides in zip(returns, job_overrides, strict=True):
            answer.overrides = answer.overrides or list(overrides)
        return returns

    def _packing(self) -> "Packing":
        from initbench.packed.queue import Packing

        return Packing(self.environments, self.replicas, self.measure)

    def _jobs(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> "Jobs":
        from initbench.packed.queue import Jobs
        from initbench.sweep.compose import resolved_config
        from initbench.sweep.job import to_pack

        def resolve(place: int) -> "Store | None":
            overrides = job_overrides[place]
            config = resolved_config(self.hydra_context.config_loader, self.config, overrides)
            return to_pack(config, overrides, self.config.hydra.sweeper)

        def message(place: int) -> bytes:
            return pickle.dumps((None, self.compose(job_overrides[place], initial_job_idx + place)))

        return Jobs(len(job_overrides), resolve, message)
