"""hydra/launcher=slurm: Hydra finds it here; how runs become SLURM jobs is in initbench/clusters/slurm.py.

Hydra imports this module at every start, with or without submitit: it is imported where it is needed.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SlurmLauncher(Launcher):
    """`runs_per_job` runs per SLURM job; every other argument is one of submitit's, described in the preset."""

    def __init__(
        self, runs_per_job: int, submitit_folder: str, max_num_timeout: int, setup: Sequence[str], **resources: Any
    ) -> None:
        if not isinstance(runs_per_job, int) or runs_per_job < 1:
            wanted = "must be a whole number of at least 1"
            raise ValueError(f"hydra.launcher.runs_per_job {wanted}, got {runs_per_job!r}")
        self.options: dict[str, Any] = {
            "runs_per_job": runs_per_job,
            "folder": submitit_folder,
            "max_num_timeout": max_num_timeout,
        }
        self.resources = {**resources, "setup": setup}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        try:
            from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as OneRun
        except ModuleNotFoundError as error:
            raise HydraException("hydra/launcher=slurm needs submitit: pip install 'initbench[slurm]'") from error
        self.one_run = OneRun()
        self.one_run.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Submit the runs and wait for all of them; a run that was lost with its job returns as failed."""
        from initbench.clusters.slurm import SlurmJobs

        runs = [(number, list(overrides)) for number, overrides in enumerate(job_overrides, initial_job_idx)]
        return SlurmJobs(self.one_run, **self.options, resources=self.resources).run(runs)
