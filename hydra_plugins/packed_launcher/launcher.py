"""`hydra/launcher=packed`: its keys, and the launcher.

Hydra imports this module at every start, whichever launcher is chosen: what only a launch needs is imported there.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_launcher import BasicLauncher
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from omegaconf import DictConfig, open_dict


@dataclass
class PackedLauncherConf:
    _target_: str = "hydra_plugins.packed_launcher.launcher.PackedLauncher"
    replicas: int = 64  # at most so many runs at once; halved where memory runs out


ConfigStore.instance().store(group="hydra/launcher", name="packed", node=PackedLauncherConf, provider="packed_launcher")


class PackedLauncher(BasicLauncher):
    """Trains what packs, then launches the rest as `basic` does, one after the other in this process."""

    def __init__(self, replicas: int) -> None:
        super().__init__()
        if replicas < 1:
            raise ValueError(f"hydra.launcher.replicas must be at least 1, got {replicas}")
        self.replicas = replicas

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from initbench.packed.run import train_packs
        from initbench.record.store import Store
        from initbench.stopping import stoppable
        from initbench.sweep.job import objective, packable, say

        setup_globals()
        jobs, resolved = [], []
        for place, overrides in enumerate(job_overrides):
            jobs.append(self._compose(overrides, initial_job_idx + place))
            resolved.append(packable(jobs[-1]))  # while HydraConfig is that of this job
        with stoppable():
            records = train_packs([config for config in resolved if config is not None], self.replicas)
        returns: dict[int, JobReturn] = {}
        for place, (overrides, config) in enumerate(zip(job_overrides, resolved, strict=True)):
            record = None if config is None else records.get(Store(config).folder)
            if config is not None and record is not None:
                say(record)
                returns[place] = JobReturn(
                    overrides=overrides,
                    cfg=jobs[place],
                    status=JobStatus.COMPLETED,
                    _return_value=objective(record, config["objective"]),
                )
        for place, overrides in enumerate(job_overrides):
            if place not in returns:
                (returns[place],) = super().launch([overrides], initial_job_idx + place)
        return [returns[place] for place in range(len(job_overrides))]

    def _compose(self, overrides: Sequence[str], number: int) -> DictConfig:
        """The config of one job as Hydra hands it over; what is Hydra's own is in HydraConfig."""
        assert self.hydra_context is not None
        assert self.config is not None
        config = self.hydra_context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            HydraConfig.instance().set_config(config)
            del config["hydra"]
        return config
