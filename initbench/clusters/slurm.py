"""The runs of a sweep as an array of SLURM jobs, through hydra-submitit-launcher.

To that it adds several runs a job, one after the other in one process, and that a job which is killed loses no run but
the one that it was at.
"""

import pickle
import time
import traceback
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException

from initbench.console import console, errors
from initbench.record.life import mark_lost
from initbench.record.stopping import requested, stop, stoppable
from initbench.record.store import Store, atomic_write
from initbench.record.sweep_id import SWEEP_VARIABLE, sweep_id
from initbench.sweep.compose import resolved_config
from initbench.wording import count

if TYPE_CHECKING:
    from submitit import Job
    from submitit.core.utils import DelayedSubmission, JobPaths

Item = TypeVar("Item")
Run = tuple[int, list[str]]  # its number in the sweep and its overrides

# SLURM's default MaxArraySize is one more.
_LONGEST_ARRAY = 1000
_SETUP = (
    "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK",  # since SLURM 22.05 srun does not take over what sbatch got
    "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}",  # not every cluster pins a job to its cores
)


class SlurmJobs:
    """`runs_per_job` runs per SLURM job, each done by `one_run`, which is hydra-submitit-launcher's launcher.

    The object itself is what submitit pickles and calls on the nodes.
    """

    def __init__(
        self, one_run: Any, *, runs_per_job: int, folder: str, max_num_timeout: int, resources: dict[str, Any]
    ) -> None:
        self.one_run = one_run
        self.runs_per_job = runs_per_job
        self.folder = folder
        self.max_num_timeout = max_num_timeout
        sweep = f"export {SWEEP_VARIABLE}={sweep_id() or ''}"  # whatever sbatch takes over of the environment
        self.resources = {**resources, "setup": [*_SETUP, sweep, *resources["setup"]]}

    def run(self, runs: list[Run]) -> list[JobReturn]:
        """Submit the runs and wait for all of them; one that was lost with its job returns as failed."""
        returned: dict[int, JobReturn] = {}
        waiting = runs
        with stoppable():
            while waiting:
                jobs = self._submit(waiting)
                _wait([job for job, _ in jobs])
                waiting = []
                for job, its_runs in jobs:
                    found, not_begun = self._gather(job, its_runs)
                    returned |= found
                    waiting += not_begun
        return [returned[number] for number, _ in runs]

    def _submit(self, runs: list[Run]) -> list[tuple["Job[None]", list[Run]]]:
        from submitit import AutoExecutor

        batches = _batches(runs, self.runs_per_job)
        jobs: list[Job[None]] = []
        try:
            executor = AutoExecutor(self.folder, cluster="slurm", slurm_max_num_timeout=self.max_num_timeout)
            executor.update_parameters(**{f"slurm_{key}": value for key, value in self.resources.items()})
            for array in _batches(batches, _LONGEST_ARRAY):
                jobs += executor.map_array(self, array, repeat(Singleton.get_state()))
        except (RuntimeError, NameError, TypeError, ValueError) as error:  # what sbatch or submitit refuses
            raise HydraException(f"SLURM: {error}") from error
        logs = executor.folder
        console.print(
            f"{count(len(runs), 'run')} in {count(len(jobs), 'SLURM job')}, {_ids(jobs)}; logs: {logs}",
            soft_wrap=True,
            markup=False,
        )
        return list(zip(jobs, batches, strict=True))

    def __call__(self, runs: list[Run], singletons: dict[type, Singleton]) -> None:
        """On the node: the runs of one job. What each returns goes to a file, as the job may be killed at the next."""
        from submitit import JobEnvironment
        from submitit.core.utils import UncompletedJobError

        paths = JobEnvironment().paths
        for number, overrides in runs:
            file = _file(paths, number)
            if file.exists() and file.read_bytes():
                continue  # before the job was queued again
            file.touch()
            result = self.one_run(overrides, "hydra.sweep.dir", number, paths.job_id, singletons)
            result.cfg = result.hydra_cfg = None  # large, and can be composed again
            error = result._return_value
            if isinstance(error, UncompletedJobError):
                raise error  # submitit's own: the time limit was reached max_num_timeout times
            if isinstance(error, Exception):  # not every exception can be pickled
                result.return_value = RuntimeError("".join(traceback.format_exception(error)))
            atomic_write(file, pickle.dumps(result))

    def checkpoint(self, *arguments: Any) -> "DelayedSubmission":
        """What submitit queues again after a time limit or a preemption: the same runs."""
        from submitit.core.utils import DelayedSubmission

        return DelayedSubmission(self, *arguments)

    def _gather(self, job: "Job[None]", runs: list[Run]) -> tuple[dict[int, JobReturn], list[Run]]:
        """What the runs of an ended job returned, and those that it had not begun when it was killed."""
        files = {number: _file(job.paths, number) for number, _ in runs}
        contents = {number: file.read_bytes() for number, file in files.items() if file.exists()}
        found: dict[int, JobReturn] = {number: pickle.loads(content) for number, content in contents.items() if content}
        if len(found) == len(runs):
            return found, []
        reason = _reason(job)
        errors.print(
            f"SLURM job {job.job_id} ended early: {reason}; its log: {job.paths.stderr}", soft_wrap=True, markup=False
        )
        # A job that began no run would not do better a second time; one that was cancelled is not wanted.
        goes_on = contents and not reason.startswith("CANCELLED")
        not_begun = [run for run in runs if run[0] not in contents] if goes_on else []
        for number, overrides in runs:
            if number not in found and (number, overrides) not in not_begun:
                found[number] = self._lost(overrides, f"lost with SLURM job {job.job_id}: {reason}")
        return found, not_begun

    def _lost(self, overrides: list[str], reason: str) -> JobReturn:
        """A failed JobReturn, and a record that says why if the run did not come as far as its own."""
        loader = self.one_run.hydra_context.config_loader
        mark_lost(Store(resolved_config(loader, self.one_run.config, overrides)), reason)
        return JobReturn(overrides=overrides, status=JobStatus.FAILED, _return_value=RuntimeError(reason))


def _wait(jobs: Sequence["Job[None]"]) -> None:
    """Until all have ended, or a signal asks this process not to wait any longer."""
    for job in jobs:
        while not job.done():
            if requested():
                console.print(f"The SLURM jobs continue. To end them: scancel {_ids(jobs)}", soft_wrap=True)
                stop()
            time.sleep(1)


def _reason(job: "Job[None]") -> str:
    """Why a job ended without the results of its runs: its exception, or SLURM's word (OUT_OF_MEMORY, NODE_FAIL …)."""
    from submitit.core.utils import pickle_load

    if not job.paths.result_pickle.exists():
        return job.state
    _, trace = pickle_load(job.paths.result_pickle)
    return str(trace).strip().rpartition("\n")[2]


def _file(paths: "JobPaths", number: int) -> Path:
    """Empty while the run is going on, then its JobReturn."""
    return Path(paths.folder, f"{paths.job_id}_run{number}.pkl")


def _ids(jobs: Sequence["Job[None]"]) -> str:
    """The ids of whole arrays, as scancel takes them."""
    return " ".join(dict.fromkeys(job.job_id.partition("_")[0] for job in jobs))


def _batches(items: Sequence[Item], size: int) -> list[list[Item]]:
    return [list(items[start : start + size]) for start in range(0, len(items), size)]
