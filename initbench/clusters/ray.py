"""The runs of a sweep as tasks of a Ray cluster, through hydra-ray-launcher.

To that it adds that a worker which dies ends one run and not the sweep, that a worker takes one run after the other and
keeps its GPU, and that paths mean on every machine what they mean where the sweep was typed.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from initbench.config.resolve import resolve
from initbench.console import console
from initbench.record.life import mark_lost
from initbench.record.stopping import Stopped
from initbench.record.store import Store
from initbench.sweep.compose import job_config

if TYPE_CHECKING:
    from ray import ObjectRef

# For runs to save themselves: who asked for the end waits for five or so.
_STOP_SECONDS = 4.0
# What runs read of the environment, by how it begins. Everything else is each machine's own.
_ENVIRONMENT = ("INITBENCH_", "WANDB_", "MLFLOW_", "TRACKIO_")


class RayTasks:
    """The jobs of a sweep as tasks. `arguments.init` and `arguments.remote` are those of ray.init and ray.remote."""

    def __init__(
        self, arguments: DictConfig, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        self.arguments = arguments
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def run(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        """Hand all runs to Ray and wait for them. One that is lost with its worker or machine returns as failed."""
        import ray

        remote: dict[str, Any] = OmegaConf.to_container(self.arguments.remote, resolve=True)  # type: ignore[assignment]  # of a mapping
        task = self._connect(remote)
        runs: list[ObjectRef[JobReturn]] = []
        try:
            self._compare(remote, [machine["Resources"] for machine in ray.nodes() if machine["Alive"]])
            # All before the first is submitted: a worker that waits for a next one may have to give its GPU away.
            configs = [
                job_config(self.hydra_context.config_loader, self.config, overrides, number)
                for number, overrides in enumerate(job_overrides, initial_job_idx)
            ]
            runs = [task.remote(config) for config in configs]
            returned = [_wait(run, config) for run, config in zip(runs, configs, strict=True)]
        except KeyboardInterrupt:
            for run in runs:
                ray.cancel(run)  # if it is running already, as by Ctrl-C
            if runs:
                ray.wait(runs, num_returns=len(runs), timeout=_STOP_SECONDS)
            raise Stopped(self._stopped_by) from None
        if remote["num_gpus"]:
            ray.shutdown()  # a next batch has new workers, as these would not keep their GPUs
        return returned

    def _connect(self, remote: Mapping[str, Any]) -> Any:
        """Ray's remote function that is a run: on the cluster that there is, or on one that begins and ends here."""
        import ray
        from hydra_plugins.hydra_ray_launcher._launcher_util import start_ray

        if remote["num_gpus"]:
            # CUDA reads CUDA_VISIBLE_DEVICES once a process, so a worker that is used again must keep its GPU. Ray lets
            # it only as long as it is leased: half a second, then a new lease comes with any GPU.
            os.environ["RAY_worker_lease_timeout_milliseconds"] = str(10**9)  # noqa: SIM112 - Ray's spelling
        try:
            start_ray(self.arguments.init)
            task = ray.remote(**remote)(_as_here(self.hydra_context, self.task_function))
        except (ConnectionError, RuntimeError, TypeError, ValueError) as error:
            raise HydraException(f"Ray: {error}") from error
        for signum in (signal.SIGINT, signal.SIGTERM):  # ray.init has set a handler of its own
            signal.signal(signum, self._interrupt)
        return task

    def _interrupt(self, signum: int, frame: FrameType | None) -> NoReturn:
        self._stopped_by = signum
        raise KeyboardInterrupt  # of all exceptions the one that ends Ray's waiting

    def _compare(self, remote: Mapping[str, Any], machines: Sequence[Mapping[str, float]]) -> None:
        """Say what Ray does not: that nothing can run yet, or that GPUs stay unused."""
        wanted = {"CPU": remote["num_cpus"] or 1, "GPU": remote["num_gpus"] or 0, **(remote.get("resources") or {})}
        if not any(all(machine.get(key, 0) >= amount for key, amount in wanted.items()) for machine in machines):
            asked = ", ".join(f"{amount:g} {key}" for key, amount in wanted.items())
            console.print(f"no machine of the Ray cluster has {asked} for a run: waiting for one", soft_wrap=True)
        elif self.config.trainer.accelerator != "cpu" and not wanted["GPU"] and any("GPU" in m for m in machines):
            advice = "hydra.launcher.ray.remote.num_gpus=1, or 0.25 for four runs to share one"
            console.print(f"no run gets a GPU of the Ray cluster: {advice}", soft_wrap=True)


def _as_here(hydra_context: HydraContext, task_function: TaskFunction) -> Callable[[DictConfig], JobReturn]:
    """What does one run in a worker, wherever Ray has started that, as it would be done in this process."""
    from hydra_plugins.hydra_ray_launcher._launcher_util import _run_job

    singletons = Singleton.get_state()  # Hydra's
    folder = Path.cwd()
    environment = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    command = (sys.argv, sys.orig_argv)  # records say what was typed

    def run(config: DictConfig) -> JobReturn:
        os.chdir(folder)
        os.environ.update(environment)
        sys.argv, sys.orig_argv = command
        result: JobReturn = _run_job(hydra_context, config, task_function, singletons)
        result.cfg = result.hydra_cfg = None  # large, and can be composed again
        return result

    return run


def _wait(run: "ObjectRef[JobReturn]", config: DictConfig) -> JobReturn:
    """What it returned; if it is lost with its worker or machine, a failed JobReturn, and a record that says why."""
    import ray

    try:
        return ray.get(run)
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", error)
        mark_lost(Store(resolve(config, config.hydra)), f"lost: {type(cause).__name__}: {cause}")
        result = JobReturn(overrides=config.hydra.overrides.task, status=JobStatus.FAILED)
        result.return_value = error
        return result
