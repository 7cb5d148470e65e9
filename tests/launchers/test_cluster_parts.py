"""What the launchers of clusters decide by themselves, without a cluster."""

import os
import pickle
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException

from hydra_plugins.slurm_launcher.launcher import SlurmLauncher
from initbench.clusters import slurm
from initbench.clusters.slurm import SlurmJobs, _batches, _ids
from initbench.record.stopping import Stopped, stoppable
from initbench.record.sweep_id import SWEEP_VARIABLE

RUNS = [(number, [f"seed={number}"]) for number in (4, 5, 6)]


class UncompletedJobError(Exception):
    pass


class Executor:
    """What is asked of submitit's: it notes what it was told, and refuses arrays of what it was told to."""

    told: ClassVar[list[Any]] = []
    refuses: ClassVar[Exception | None] = None

    def __init__(self, folder: str, **keys: Any) -> None:
        self.folder = folder
        self.told.append((folder, keys))

    def update_parameters(self, **keys: Any) -> None:
        self.told.append(keys)

    def map_array(self, function: Any, array: Any, singletons: Any) -> list[Any]:
        if self.refuses is not None:
            raise self.refuses
        self.told.append(array)
        number = sum(isinstance(of, list) for of in self.told)
        return [SimpleNamespace(job_id=f"{number}_{place}") for place in range(len(array))]


@pytest.fixture
def submitit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Executor]:
    """What is called of it here, as it is not installed everywhere."""
    paths = SimpleNamespace(folder=tmp_path, job_id="7_1")
    stand_in = SimpleNamespace(
        AutoExecutor=Executor,
        JobEnvironment=lambda: SimpleNamespace(paths=paths),
        UncompletedJobError=UncompletedJobError,
        pickle_load=lambda path: pickle.loads(Path(path).read_bytes()),
    )
    for name in ("submitit", "submitit.core", "submitit.core.utils"):
        monkeypatch.setitem(sys.modules, name, stand_in)
    monkeypatch.setattr(Executor, "told", [])
    monkeypatch.setattr(Executor, "refuses", None)
    return Executor


def job(folder: Path, state: str = "NODE_FAIL", trace: str | None = None, done: bool = True) -> Any:
    paths = SimpleNamespace(folder=folder, job_id="7_1", result_pickle=folder / "result.pkl", stderr=folder / "log.err")
    if trace is not None:
        paths.result_pickle.write_bytes(pickle.dumps(("error", trace)))
    return SimpleNamespace(paths=paths, job_id="7_1", state=state, done=lambda: done)


def jobs(monkeypatch: pytest.MonkeyPatch, **keys: Any) -> SlurmJobs:
    made = SlurmJobs(
        None, runs_per_job=2, folder="x", max_num_timeout=3, resources={"setup": ["mine"], "mem_gb": 2}, **keys
    )
    monkeypatch.setattr(made, "_lost", lambda overrides, reason: (overrides, reason))
    return made


def write(folder: Path, **results: Any) -> None:
    for number, result in results.items():
        (folder / f"7_1_run{number.removeprefix('r')}.pkl").write_bytes(b"" if result is None else pickle.dumps(result))


def test_a_job_whose_runs_have_all_returned_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, r4="a", r5="b", r6="c")
    assert jobs(monkeypatch)._gather(job(tmp_path), RUNS) == ({4: "a", 5: "b", 6: "c"}, [])


@pytest.mark.usefixtures("submitit")
@pytest.mark.parametrize(
    "written, state, lost, not_begun",
    [
        ({"r4": "a", "r5": None}, "NODE_FAIL", [5], [6]),
        ({"r4": None}, "OUT_OF_MEMORY", [4], [5, 6]),
        ({"r4": "a"}, "TIMEOUT", [], [5, 6]),
        ({}, "NODE_FAIL", [4, 5, 6], []),  # it would not do better a second time
        ({"r4": "a", "r5": None}, "CANCELLED by 1000", [5, 6], []),
    ],
)
def test_of_a_job_that_was_killed_the_run_that_it_was_at_is_lost_and_the_rest_is_done_by_another(
    written: dict[str, Any],
    state: str,
    lost: list[int],
    not_begun: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    write(tmp_path, **written)
    found, rest = jobs(monkeypatch)._gather(job(tmp_path, state), RUNS)
    assert rest == [run for run in RUNS if run[0] in not_begun]
    reason = f"lost with SLURM job 7_1: {state}"
    assert {number: of for number, of in found.items() if of != "a"} == {
        number: ([f"seed={number}"], reason) for number in lost
    }
    said = " ".join(capsys.readouterr().err.split())
    assert said.startswith(f"SLURM job 7_1 ended early: {state}; its log: ")


@pytest.mark.usefixtures("submitit")
def test_the_last_line_of_what_a_job_raised_is_the_reason(tmp_path: Path) -> None:
    assert slurm._reason(job(tmp_path, trace="Traceback\n  a\nUncompletedJobError: timed out\n")) == (
        "UncompletedJobError: timed out"
    )
    (tmp_path / "result.pkl").unlink()
    assert slurm._reason(job(tmp_path, "FAILED")) == "FAILED"


@pytest.mark.parametrize("sweep", ["5eed", ""])
def test_a_job_is_set_up_for_its_cores_and_its_sweep(sweep: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, sweep)
    made = jobs(monkeypatch)
    assert made.resources == {
        "mem_gb": 2,
        "setup": [
            "export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK",
            "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$SLURM_CPUS_PER_TASK}",
            f"export {SWEEP_VARIABLE}={sweep}",
            "mine",
        ],
    }


def test_runs_that_a_killed_job_had_not_begun_are_submitted_again_and_returned_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, submitted = jobs(monkeypatch), []

    def submit(runs: list[Any]) -> list[Any]:
        submitted.append([number for number, _ in runs])
        return [(batch, batch) for batch in _batches(runs, 2)]

    def gather(of: Any, runs: list[Any]) -> Any:
        begun = runs[:1]
        return {number: JobReturn(overrides=overrides) for number, overrides in begun}, runs[1:]

    monkeypatch.setattr(made, "_submit", submit)
    monkeypatch.setattr(made, "_gather", gather)
    monkeypatch.setattr(slurm, "_wait", lambda waiting: None)
    runs = [(number, [f"seed={number}"]) for number in (9, 4, 7, 5, 6)]
    assert [found.overrides for found in made.run(runs)] == [overrides for _, overrides in runs]
    assert submitted == [[9, 4, 7, 5, 6], [4, 5], [5]]


def test_batches_and_ids() -> None:
    assert _batches([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert _batches([], 2) == []
    assert _batches([1, 2], 2) == [[1, 2]]
    assert _ids([SimpleNamespace(job_id=name) for name in ("7_0", "7_1", "9_0", "7_2")]) == "7 9"  # type: ignore[misc]  # all that is asked


def test_who_stops_waiting_is_told_how_to_end_the_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    slurm._wait([job(tmp_path)])
    monkeypatch.setattr(slurm.time, "sleep", lambda seconds: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(Stopped), stoppable():
        slurm._wait([job(tmp_path, done=False)])
    assert "The SLURM jobs continue. To end them: scancel 7" in capsys.readouterr().out


@pytest.mark.parametrize("runs_per_job", [0, -1, 1.5, "2", None])
def test_a_job_has_a_whole_number_of_runs(runs_per_job: Any) -> None:
    keys: dict[str, Any] = {"submitit_folder": "x", "max_num_timeout": 0, "setup": []}
    with pytest.raises(ValueError, match=r"hydra\.launcher\.runs_per_job must be a whole number of at least 1, got"):
        SlurmLauncher(runs_per_job, **keys)
    made = SlurmLauncher(3, **keys, mem_gb=2)
    assert made.options == {"runs_per_job": 3, "folder": "x", "max_num_timeout": 0}
    assert made.resources == {"setup": [], "mem_gb": 2}


def test_a_job_does_its_runs_but_for_those_that_it_did_before_it_was_queued_again(
    tmp_path: Path, submitit: type[Executor], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []

    def one_run(overrides: list[str], folder_key: str, number: int, job_id: str, singletons: Any) -> JobReturn:
        assert (tmp_path / f"7_1_run{number}.pkl").read_bytes() == b""  # so that a killed job has one
        done.append((overrides, folder_key, number, job_id, singletons))
        result = JobReturn(overrides=overrides, cfg={"large": 1}, hydra_cfg={"large": 1}, status=JobStatus.COMPLETED)  # type: ignore[arg-type]  # only that they are dropped matters
        result.return_value = 0.5
        if number == 6:
            result.status, result.return_value = JobStatus.FAILED, ValueError("lost", (of for of in "ab"))
        return result

    made = jobs(monkeypatch)
    made.one_run = one_run
    write(tmp_path, r4="done before", r5=None)
    made([*RUNS, (7, ["seed=7"])], {})
    assert [of[2] for of in done] == [5, 6, 7]
    assert done[0] == (["seed=5"], "hydra.sweep.dir", 5, "7_1", {})
    found = {number: pickle.loads((tmp_path / f"7_1_run{number}.pkl").read_bytes()) for number in (4, 5, 6, 7)}
    assert found[4] == "done before"
    assert (found[5].return_value, found[5].cfg, found[5].hydra_cfg) == (0.5, None, None)
    assert "ValueError" in str(found[6]._return_value)
    assert found[7].status is JobStatus.COMPLETED


def test_what_ends_a_whole_job_is_raised_and_leaves_its_run_begun(
    tmp_path: Path, submitit: type[Executor], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = jobs(monkeypatch)
    made.one_run = lambda *_: JobReturn(status=JobStatus.FAILED, _return_value=UncompletedJobError("timed out"))
    with pytest.raises(UncompletedJobError):
        made(RUNS, {})
    assert [path.name for path in tmp_path.iterdir()] == ["7_1_run4.pkl"]
    assert (tmp_path / "7_1_run4.pkl").read_bytes() == b""


def test_runs_are_submitted_in_batches_and_arrays_that_a_cluster_takes(
    submitit: type[Executor], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slurm, "_LONGEST_ARRAY", 2)
    runs = [(number, [f"seed={number}"]) for number in range(5)]
    found = jobs(monkeypatch)._submit(runs)
    assert [of.job_id for of, _ in found] == ["1_0", "1_1", "2_0"]
    assert [[number for number, _ in batch] for _, batch in found] == [[0, 1], [2, 3], [4]]
    (folder, keys), parameters, *arrays = submitit.told
    assert (folder, keys) == ("x", {"cluster": "slurm", "slurm_max_num_timeout": 3})
    assert parameters.keys() == {"slurm_mem_gb", "slurm_setup"}
    assert arrays == [[runs[:2], runs[2:4]], [runs[4:]]]
    assert "5 runs in 3 SLURM jobs, 1 2; logs: x" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("error", [RuntimeError, NameError, TypeError, ValueError])
def test_what_sbatch_refuses_is_an_error_of_hydra(
    error: type[Exception], submitit: type[Executor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Executor, "refuses", error("no such partition"))
    with pytest.raises(HydraException, match=r"^SLURM: no such partition$"):
        jobs(monkeypatch)._submit(RUNS)
