"""What one SLURM job does with its runs: in submitit's own environment of a job, on this machine."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus

from initbench.clusters.slurm import SlurmJobs

pytest.importorskip("submitit")
pytestmark = pytest.mark.cluster  # it runs where submitit is installed

RUNS = [(number, [f"seed={number}"]) for number in (4, 5, 6)]


@pytest.mark.parametrize("killed", [4, 5, 6])
def test_a_job_that_is_queued_again_goes_on_with_the_run_at_which_it_was_killed(
    killed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That run may have a checkpoint; those before it have returned."""
    from submitit.core.utils import JobPaths

    for name, value in {"EXECUTOR": "local", "LOCAL_JOB_ID": "7", "FOLDER": str(tmp_path)}.items():
        monkeypatch.setenv(f"SUBMITIT_{name}", value)
    begun: list[int] = []

    def one_run(overrides: list[str], key: str, number: int, job: str, singletons: Any) -> JobReturn:
        begun.append(number)
        if begun == list(range(4, killed + 1)):
            raise KeyboardInterrupt  # nothing after it is done, as in a process that is killed
        return JobReturn(overrides=overrides, status=JobStatus.COMPLETED, _return_value=float(number))

    jobs = SlurmJobs(
        one_run, runs_per_job=3, folder=str(tmp_path), max_num_timeout=1, resources={"setup": ["module load cuda"]}
    )
    with pytest.raises(KeyboardInterrupt):
        jobs(RUNS, {})
    jobs(RUNS, {})
    assert begun == [*range(4, killed + 1), *range(killed, 7)]
    job: Any = SimpleNamespace(job_id="7", paths=JobPaths(tmp_path, "7"))
    found, not_begun = jobs._gather(job, RUNS)
    assert {number: result.return_value for number, result in found.items()} == {4: 4.0, 5: 5.0, 6: 6.0}
    assert not_begun == []
