"""`hydra/launcher=packed` and `hydra/launcher=auto`: their keys, and the launcher of both.

Hydra imports this module at every start, whichever launcher is chosen: what only a launch needs is imported there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, setup_globals

from hydra_plugins.local_launcher.launcher import LocalLauncher, LocalLauncherConf, raising_on_sigterm


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

    preload = ("initbench.packed.run",)

    def __init__(self, replicas: int, measure: bool, **of_slots: object) -> None:
        super().__init__(**of_slots)  # type: ignore[arg-type]  # Hydra has checked them by LocalLauncherConf
        if replicas < 1:
            raise ValueError(f"hydra.launcher.replicas must be at least 1, got {replicas}")
        self.replicas = replicas
        self.measure = measure

    def warm(self, jobs: int) -> None:
        """Start the workers, no more than there are jobs."""
        self._warm_pool().start(jobs)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, whatever becomes of any; return in their order. What failed is a JobReturn that says so."""
        from hydra_plugins.packed_launcher._queue import Queue

        setup_globals()
        with raising_on_sigterm():
            pool = self._warm_pool()
            try:
                pool.start(len(job_overrides))
                queue = Queue(self, job_overrides, initial_job_idx)
                for number, reply in pool.run(queue):
                    queue.take(number, reply)
            except BaseException:  # whatever ends the sweep, Ctrl-C above all, ends its workers
                pool.close(interrupt=True)
                raise
        return queue.returns()
