"""Sweeps through a real SLURM: whichever `sbatch` reaches; skipped where there is none."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from outcomes import outcomes


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

SMALL = ["logger=none", "model=mlp", "trainer.accelerator=cpu", "trainer.threads=1"]
SHORT = [*SMALL, "trainer.max_steps=8", "data.val_every_n_steps=4", "trainer.log_every_n_steps=2"]
# A few seconds of training, of which the first saves a checkpoint.
LONG = [
    *(*SMALL, "trainer.max_steps=3000", "trainer.max_epochs=-1", "data.val_every_n_steps=200"),
    *("trainer.log_every_n_steps=50", "checkpoint_seconds=0.5"),
]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2"]

# What the tests make jobs do in their first step of training: an initializer of the user's own.
DEEDS = """
import os, signal, sys
from torch import nn

class Unpicklable(Exception):
    def __init__(self):
        super().__init__("cannot be pickled")
        self.generator = (number for number in [])

def act(tensor, deed):
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "exit":
        sys.exit(3)
    if deed == "raise":
        raise Unpicklable
    nn.init.eye_(tensor)
"""


class Sweep:
    """One in a process of its own, started in `folder`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.study = folder / "runs" / "main"
        self._log = folder / "log.txt"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder), "COLUMNS": "120"}
        # Records hold the folder of the data; it is one for all, so that they can be compared.
        command = [sys.executable, "-m", "initbench", "-m", f"data_dir={folder.parent}", *arguments]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self) -> "Sweep":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for array in self.arrays:
            subprocess.run(["scancel", array], check=False, capture_output=True)

    def end(self) -> int:
        return self.process.wait(timeout=250)

    @property
    def text(self) -> str:
        return self._log.read_text()

    @property
    def arrays(self) -> list[str]:
        """The ids of what was submitted."""
        return re.findall(r"scancel (\d+)", self.text)

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.study.glob("*/record.json"))]

    def statuses(self, key: str) -> dict[Any, str]:
        """By the value of an init's key, or of a key of the record."""
        return {record["config"]["init"].get(key, record.get(key)): record["status"] for record in self.records}

    def wait_for(self, condition: Callable[[], Any]) -> Any:
        until = time.monotonic() + 120
        while not (found := condition()):
            assert self.process.poll() is None, self.text
            assert time.monotonic() < until, self.text
            time.sleep(0.1)
        return found


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    """A function that starts a sweep through SLURM in a folder of its own; what is left of it is cancelled."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    (folder / "deeds.py").write_text(DEEDS)
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(Sweep(folder, *SLURM, *arguments))


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    """Six short runs, two a job, on nodes that start in another folder; with a GPU a job where there are GPUs."""
    gpus = ["hydra.launcher.gres=gpu:1"] if "gpu" in PARTITIONS else []
    elsewhere = "+hydra.launcher.additional_parameters.chdir=/"
    show = "hydra.launcher.setup=['echo began $(date +%s) with GPU $CUDA_VISIBLE_DEVICES']"
    grid = ["init=orthogonal,normal", "seed=0,1,2"]
    folder = tmp_path_factory.mktemp("six") / "slurm"
    with Sweep(folder, *SLURM, *SHORT, *gpus, elsewhere, show, *grid, "hydra.launcher.runs_per_job=2") as ended:
        assert ended.end() == 0, ended.text
        yield ended


def test_a_sweep_equals_the_basic_launchers(six: Sweep) -> None:
    with Sweep(six.folder.parent / "basic", *SHORT, "init=orthogonal,normal", "seed=0,1,2") as basic:
        assert basic.end() == 0, basic.text
    assert outcomes(six.study) == outcomes(basic.study)
    assert len(outcomes(six.study)) == 6


def test_runs_share_a_process(six: Sweep) -> None:
    (array,) = six.arrays
    assert f"SLURM jobs: 3, for 6 runs. They go on without this process; to end them: scancel {array}." in six.text
    processes = [record["provenance"]["pid"] for record in six.records]
    assert sorted(map(processes.count, set(processes))) == [2, 2, 2]


def test_only_the_folder_that_was_asked_for_is_written(six: Sweep) -> None:
    assert sorted(path.name for path in six.folder.iterdir()) == ["log.txt", "runs"]
    assert not Path("/runs").exists()


@pytest.mark.skipif("gpu" not in PARTITIONS, reason="this SLURM has no GPUs")
def test_jobs_at_the_same_time_see_different_gpus(six: Sweep) -> None:
    times = []
    for log in sorted((six.study / ".sweep" / "slurm").glob("*_0_log.out")):
        found = re.search(r"began (\d+) with GPU (.*)", log.read_text())
        assert found is not None
        times.append((int(found[1]), log.stat().st_mtime, found[2]))
    together = [(a, b) for a in times for b in times if a < b and b[0] < a[1]]
    assert together
    for first, second in together:
        assert first[2] != second[2]
    assert all(gpu.isdigit() for _, _, gpu in times)


def test_one_bad_run_loses_no_other(sweep: Callable[..., Sweep]) -> None:
    """One is killed -9, one exits, one raises what cannot be pickled; each shares its job with others."""
    deeds = "kill,after_kill,raise,exit,after_exit,last"
    ended = sweep(*SHORT, "init._target_=deeds.act", f"+init.deed={deeds}", "hydra.launcher.runs_per_job=3")
    assert ended.end() == 1
    finished = dict.fromkeys(["after_kill", "after_exit", "last"], "finished")
    assert ended.statuses("deed") == {**finished, **dict.fromkeys(["kill", "exit", "raise"], "failed")}
    reasons = {record["config"]["init"]["deed"]: record.get("reason") for record in ended.records}
    assert "process died" in reasons["kill"]
    assert "SystemExit: 3" in reasons["exit"]
    assert "Unpicklable: cannot be pickled" in reasons["raise"]
    assert len(ended.arrays) == 2  # what the killed job had not begun went into another
    assert re.search(r"SLURM job \d+_0 ended early: FAILED; its log: .*_log.err", ended.text)


def test_a_preempted_run_goes_on_bit_for_bit(sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    """In the second of its job's runs; the first is not run again."""
    interrupted = sweep(*LONG, "seed=0,1", "hydra.launcher.runs_per_job=2")
    interrupted.wait_for(lambda: list(interrupted.study.glob("*-seed1-*/checkpoint.ckpt")))
    (array,) = interrupted.arrays
    ask("scancel", "--signal=USR2", array)
    interrupted.wait_for(lambda: ask("squeue", "--noheader", "--format=%t", f"--jobs={array}") == "PD")
    assert interrupted.statuses("seed") == {0: "finished", 1: "interrupted"}
    ask("scontrol", "update", f"jobid={array}", "starttime=now")  # SLURM would wait for two minutes
    assert interrupted.end() == 0, interrupted.text

    with Sweep(tmp_path / "basic", *LONG, "seed=0,1") as whole:
        assert whole.end() == 0, whole.text
    assert outcomes(interrupted.study) == outcomes(whole.study)
    assert [len(record["resumed_at"]) for record in interrupted.records] == [0, 1]


def test_the_last_allowed_time_limit_ends_a_run_and_not_those_after_it(sweep: Callable[..., Sweep]) -> None:
    # submitit takes every signal within ten minutes of the limit for it.
    limits = ["hydra.launcher.timeout_min=5", "hydra.launcher.max_num_timeout=0"]
    steps = "trainer.max_steps=1000000,8"
    ended = sweep(*LONG, steps, *limits, "hydra.launcher.runs_per_job=2")
    ended.wait_for(lambda: list(ended.study.glob("*/checkpoint.ckpt")))
    ask("scancel", "--signal=USR2", ended.arrays[0])
    ended.end()
    assert sorted(record["status"] for record in ended.records) == ["finished", "interrupted"]
    assert "Job not requeued because: timed-out too many times." in ended.text
    assert len(ended.arrays) == 2


def test_cancelled_jobs_are_not_submitted_again(sweep: Callable[..., Sweep]) -> None:
    ended = sweep(*LONG, "trainer.max_steps=1000000", "seed=0,1", "hydra.launcher.runs_per_job=2")
    ended.wait_for(lambda: list(ended.study.glob("*/checkpoint.ckpt")))
    ask("scancel", ended.arrays[0])
    ended.end()
    assert [record["status"] for record in ended.records] == ["interrupted"]
    assert re.search(r"SLURM job \d+ ended early: CANCELLED", ended.text)
    assert len(ended.arrays) == 1


def test_what_sbatch_refuses_is_said_in_one_message(sweep: Callable[..., Sweep]) -> None:
    refused = sweep(*SHORT, "seed=0,1", "hydra.launcher.partition=nowhere")
    assert refused.end() == 2
    assert "initbench: SLURM: sbatch: error: invalid partition specified: nowhere" in refused.text
    assert "Traceback" not in refused.text


@pytest.mark.slow
def test_a_run_longer_than_the_time_limit_goes_on_in_another_job(sweep: Callable[..., Sweep]) -> None:
    """SLURM itself sends the signal, half a minute before the end of the one minute that it gives."""
    limits = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=30"]
    going = sweep(*LONG, "trainer.max_steps=1000000", *limits)
    going.wait_for(lambda: going.arrays)
    (array,) = going.arrays
    for attempt in (1, 2):
        going.wait_for(lambda: ask("squeue", "--noheader", "--format=%t", f"--jobs={array}") == "PD")
        assert going.statuses("seed") == {0: "interrupted"}
        ask("scontrol", "update", f"jobid={array}", "starttime=now")
        going.wait_for(lambda: going.statuses("seed") == {0: "running"})
        assert len(going.records[0]["resumed_at"]) == attempt
