"""hydra/launcher=ray: Hydra finds it here; how runs become Ray tasks is in initbench/clusters/ray.py.

Hydra imports this module at every start, with or without Ray: it is imported where it is needed.
"""

from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

# The preset takes the place of hydra-ray-launcher's own, which has the same name: Hydra would merge the two, and warn.
with suppress(ModuleNotFoundError):
    from hydra_plugins.hydra_ray_launcher import _config  # noqa: F401 - it stores its own when it is imported

    ConfigStore.instance().repo["hydra"]["launcher"].pop("ray.yaml", None)


class RayLauncher(Launcher):
    """`ray.init` and `ray.remote` are the arguments of Ray's functions of these names."""

    def __init__(self, ray: DictConfig) -> None:
        self.arguments = ray

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        if not find_spec("hydra_plugins.hydra_ray_launcher"):
            raise HydraException("hydra/launcher=ray needs Ray: pip install 'initbench[ray]'")
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Hand all runs to Ray and wait for them. One that is lost with its worker or machine returns as failed."""
        from initbench.clusters.ray import RayTasks

        tasks = RayTasks(self.arguments, self.hydra_context, self.task_function, self.config)
        return tasks.run(job_overrides, initial_job_idx)
