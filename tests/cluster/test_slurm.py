"""Sweeps through a real SLURM: whichever `sbatch` reaches; skipped where there is none."""

import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from outcomes import outcomes
from sweeps import LANGUAGE_MODEL, LONG, RACE, SHORT, Sweep, is_raced_as_on_this_machine, sweeps


def ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.strip()


def partitions() -> str:
    """SLURM's answer about them, empty where there is no SLURM."""
    try:
        return ask("sinfo", "--noheader", "--format=%P %G")
    except (OSError, subprocess.SubprocessError):
        return ""


PARTITIONS = partitions() if shutil.which("sbatch") else ""
pytestmark = [pytest.mark.cluster, pytest.mark.skipif(not PARTITIONS, reason="sinfo finds no SLURM")]

ENDLESS = [*LONG, "trainer.max_steps=1000000"]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2"]


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    """A function that starts a sweep through SLURM in a folder of its own; what is left of it is cancelled."""
    with sweeps(tmp_path / "slurm", *SLURM) as start:
        yield start


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    """Four short runs, two a job; with a GPU a job where there are GPUs."""
    gpus = ["hydra.launcher.gres=gpu:1"] if "gpu" in PARTITIONS else []
    show = "hydra.launcher.setup=['echo began $(date +%s) with GPU $CUDA_VISIBLE_DEVICES']"
    grid = ["init=orthogonal,normal", "seed=0,1"]
    folder = tmp_path_factory.mktemp("four") / "slurm"
    with Sweep(folder, *SLURM, *SHORT, *gpus, show, *grid, "hydra.launcher.runs_per_job=2") as ended:
        assert ended.end() == 0, ended.text
        yield ended


def test_runs_share_a_process_and_stay_in_their_folder(four: Sweep) -> None:
    assert [record["status"] for record in four.records] == ["finished"] * 4
    assert f"4 runs in 2 SLURM jobs, {four.arrays[0]}; logs: {four.study}/.sweep/slurm" in four.text
    processes = [record["provenance"]["pid"] for record in four.records]
    assert sorted(map(processes.count, set(processes))) == [2, 2]
    assert sorted(path.name for path in four.folder.iterdir()) == ["log.txt", "runs"]


@pytest.mark.skipif("gpu" not in PARTITIONS, reason="this SLURM has no GPUs")
def test_jobs_at_the_same_time_see_different_gpus(four: Sweep) -> None:
    times = []
    for log in sorted((four.study / ".sweep" / "slurm").glob("*_0_log.out")):
        found = re.search(r"began (\d+) with GPU (\d+)\n", log.read_text())
        assert found is not None
        times.append((int(found[1]), log.stat().st_mtime, found[2]))
    first, second = sorted(times)
    assert second[0] < first[1]
    assert first[2] != second[2]


def test_a_language_model_gets_the_numbers_of_a_local_sweep(sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    grid = [*LANGUAGE_MODEL, "init=default,orthogonal", "seed=0,1"]
    ended = sweep(*grid, "hydra.launcher.runs_per_job=2")
    assert ended.end() == 0, ended.text
    assert [record["status"] for record in ended.records] == ["finished"] * 4
    with Sweep(tmp_path / "basic", "hydra/launcher=basic", *grid) as local:
        assert local.end() == 0, local.text
    assert outcomes(ended.study) == outcomes(local.study)


def test_a_race_decides_as_on_one_machine(sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    raced = sweep(*RACE, "hydra.launcher.runs_per_job=8")
    assert raced.end() == 0, raced.text
    assert is_raced_as_on_this_machine(raced, tmp_path / "local")


def test_one_bad_run_loses_no_other(sweep: Callable[..., Sweep]) -> None:
    """One raises what cannot be pickled, one exits, one is killed -9: in a job with another, in an array with one."""
    deeds = "raise,exit,kill,after,last"
    ended = sweep(*SHORT, "init._target_=deeds.act", f"+init.deed={deeds}", "hydra.launcher.runs_per_job=4")
    assert ended.end() == 1
    finished = dict.fromkeys(["after", "last"], "finished")
    assert ended.statuses("deed") == {**finished, **dict.fromkeys(["raise", "exit", "kill"], "failed")}
    reasons = {record["config"]["init"]["deed"]: record.get("reason") for record in ended.records}
    assert "process died" in reasons["kill"]
    assert "Unpicklable: cannot be pickled" in reasons["raise"]
    assert "SystemExit: 3" in reasons["exit"]
    assert len(ended.arrays) == 2  # what the killed job had not begun went into another
    assert re.search(r"SLURM job \d+_0 ended early: FAILED; its log: .*_log.err", ended.text)


def test_a_preempted_run_goes_on_bit_for_bit(sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    """In the second of its job's runs; the first is not run again. And so does its run on wandb."""
    both = [*LONG, "trainer.max_steps=8,400", "logger=wandb"]
    preempted = sweep(*both, "hydra.launcher.runs_per_job=2")
    preempted.wait_for(lambda: len(preempted.records) == 2 and list(preempted.study.glob("*/checkpoint.ckpt")))
    (array,) = preempted.arrays
    ask("scancel", "--signal=USR2", array)
    preempted.wait_for(lambda: ask("squeue", "--noheader", "--format=%t", f"--jobs={array}") == "PD")
    assert sorted(record["status"] for record in preempted.records) == ["finished", "interrupted"]
    ask("scontrol", "update", f"jobid={array}", "starttime=now")  # SLURM would wait for two minutes
    assert preempted.end() == 0, preempted.text

    with Sweep(tmp_path / "basic", *both) as whole:
        assert whole.end() == 0, whole.text
    assert outcomes(preempted.study) == outcomes(whole.study)
    resumed = {record["total_steps"]: len(record["resumed_at"]) for record in preempted.records}
    assert resumed == {8: 0, 400: 1}
    files = Counter(path.name for path in preempted.study.glob("*/wandb/offline-run-*/run-*.wandb"))
    assert sorted(files.values()) == [1, 2]  # a file has the name of its run


def test_the_last_allowed_time_limit_ends_a_run_and_not_those_after_it(sweep: Callable[..., Sweep]) -> None:
    """SLURM itself sends the signal, up to half a minute before it is due."""
    limits = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=5", "hydra.launcher.max_num_timeout=0"]
    ended = sweep(*ENDLESS, "trainer.max_steps=1000000,8", *limits, "hydra.launcher.runs_per_job=2")
    ended.end()
    assert sorted(record["status"] for record in ended.records) == ["finished", "interrupted"]
    assert "Job not requeued because: timed-out too many times." in ended.text
    assert len(ended.arrays) == 2


def test_jobs_outlive_the_sweep_and_are_not_run_twice(sweep: Callable[..., Sweep]) -> None:
    """And those that are cancelled are not submitted again."""
    first = sweep(*ENDLESS, "seed=0,1", "hydra.launcher.runs_per_job=2")
    first.wait_for(lambda: list(first.study.glob("*/checkpoint.ckpt")))
    first.process.send_signal(signal.SIGTERM)
    said = time.monotonic()
    assert first.process.wait(timeout=10) == 128 + signal.SIGTERM
    assert time.monotonic() - said < 5
    (array,) = first.arrays
    assert f"The SLURM jobs continue. To end them: scancel {array}\n" in first.text
    assert ask("squeue", "--noheader", "--format=%t", f"--jobs={array}") == "R"

    second = sweep(*ENDLESS, "seed=0,1", "hydra.launcher.runs_per_job=2")
    second.wait_for(lambda: second.statuses("seed") == {0: "running", 1: "running"})
    assert len({record["provenance"]["pid"] for record in second.records}) == 2
    ask("scancel", array, *second.arrays)
    second.end()
    assert second.statuses("seed") == {0: "interrupted", 1: "interrupted"}
    assert [(record["attempt"], record["resumed_at"]) for record in second.records] == [(1, []), (1, [])]
    assert re.search(r"SLURM job \d+ ended early: CANCELLED", second.text)
    assert len(second.arrays) == 1


def test_what_sbatch_refuses_is_said_in_one_message(sweep: Callable[..., Sweep]) -> None:
    refused = sweep(*SHORT, "seed=0,1", "hydra.launcher.partition=nowhere")
    assert refused.end() == 2
    assert "initbench: SLURM: sbatch: error: invalid partition specified: nowhere" in refused.text
    assert "Traceback" not in refused.text


def test_a_run_whose_job_never_reached_it_has_failed(sweep: Callable[..., Sweep]) -> None:
    lost = sweep(*SHORT, "seed=0", "hydra.launcher.setup=['exit 9']")
    assert lost.end() == 1
    (record,) = lost.records
    assert record["status"] == "failed"
    assert re.fullmatch(r"lost with SLURM job \d+: FAILED", record["reason"])
