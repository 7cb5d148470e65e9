"""`hydra/launcher=packed` and `hydra/launcher=auto`: their keys, and the launcher of both.

Hydra imports this module at every start, whichever launcher is chosen: what only a launch needs is imported there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, setup_globals

from hydra_plugins.local_launcher._slots import environments
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

    def __init__(self, replicas: int, measure: bool, stop_seconds: float, **of_slots: Any) -> None:
        super().__init__(stop_seconds=stop_seconds, **of_slots)  # which Hydra has checked by LocalLauncherConf
        self._of_slots = of_slots
        self._expects = False
        if replicas < 1:
            raise ValueError(f"hydra.launcher.replicas must be at least 1, got {replicas}")
        self.replicas = replicas
        self.measure = measure

    def expect(self, jobs: int) -> None:
        """A whole sweep has so many: where that is less than there are slots, each has more threads.

        What is said first counts, as the rest of a sweep must run on as many threads as the whole did.
        """
        if not self._expects and self._of_slots["slots"] is None and jobs < len(self.environments):
            self.environments = environments(**{**self._of_slots, "slots": jobs})
        self._expects = True

    def warm(self) -> None:
        """Start the workers, which import what they will need."""
        self._warm_pool().start()

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, whatever becomes of any; return in their order. What failed is a JobReturn that says so."""
        from hydra_plugins.packed_launcher._queue import Queue

        setup_globals()
        self.expect(len(job_overrides))
        with raising_on_sigterm():
            pool = self._warm_pool()
            try:
                pool.start()
                queue = Queue(self, job_overrides, initial_job_idx)
                for number, reply in pool.run(queue):
                    queue.take(number, reply)
            except BaseException:  # whatever ends the sweep, Ctrl-C above all, ends its workers
                pool.close(interrupt=True)
                raise
        return queue.returns()
