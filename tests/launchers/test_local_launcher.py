"""hydra/launcher=local, by a program of its own (app/) and by initbench itself."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from initbench.workers import slots as machine

APP = Path(__file__).parent / "app" / "app.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
CORES = len(os.sched_getaffinity(0))


class Program:
    """The app, started with overrides; `folder` is where its jobs write."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.folder = folder
        command = [sys.executable, str(APP), "-m", "hydra/launcher=local", "hydra/sweeper=collecting"]
        with (folder / "stdout").open("w") as stdout, (folder / "stderr").open("w") as stderr:
            self.process = subprocess.Popen(
                [*command, f"folder={folder}", *overrides],
                cwd=folder,
                env=ENVIRONMENT,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def returns(self) -> list[dict[str, Any]]:
        assert self.process.wait(120) == 0, self.read("stderr")
        return json.loads(self.read("returns.json"))  # type: ignore[no-any-return]  # as the sweeper wrote it

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def pids(self, pattern: str) -> list[int]:
        return [json.loads(path.read_text())["pid"] for path in self.folder.glob(pattern)]

    def wait_for(self, pattern: str, count: int) -> None:
        until(lambda: len(list(self.folder.glob(pattern))) == count or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.read("stderr")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    programs: list[Program] = []

    def start(*overrides: str) -> Program:
        programs.append(Program(tmp_path, *overrides))
        return programs[-1]

    yield start
    for program in programs:
        program.process.kill()
        program.process.wait()


def until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Not even a zombie: whoever adopts an orphan may take its time to bury it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_every_job_is_run_and_returned_in_its_place(start: Callable[..., Program]) -> None:
    kinds = {
        "return": None,
        "raise": "ValueError: a job's own",
        "exit": "RuntimeError: the job called sys.exit(0)",
        "kill": "RuntimeError: the job's process was killed by SIGKILL",
        "exit_at_once": "RuntimeError: the job's process ended with exit code 7",
        "two_arguments": "RuntimeError: TwoArguments: onetwo (cannot be pickled: ",
        "raise_unpicklable": "RuntimeError: Unpicklable: with a generator (cannot be pickled: ",
        "return_unpicklable": "RuntimeError: what the job returned cannot be pickled: ",
        "base_exception": "RuntimeError: the job's process ended with exit code 1",
        "kill_parent_of_many": "RuntimeError: the job's process was killed by SIGKILL",
    }
    program = start("hydra.launcher.slots=2", f"how={','.join([*kinds, 'return'])}")
    returns = program.returns()  # within two minutes: the forked child of the last but one holds nothing up
    assert [result["overrides"][-1] for result in returns] == [f"how={kind}" for kind in [*kinds, "return"]]
    for result, (kind, message) in zip(returns, [*kinds.items(), ("return", None)], strict=True):
        if message is None:
            assert result["status"] == "COMPLETED"
        else:
            assert result["status"] == "FAILED", kind
            assert result["value"].startswith(message), result["value"]
    assert "raise ValueError(" in returns[1]["notes"][0]  # where in the worker it happened
    assert "Stopped: not a failure" in program.read("stderr")
    assert [result["value"]["num"] for result in (returns[0], returns[-1])] == [0, len(kinds)]


def test_jobs_are_run_as_hydra_runs_them(start: Callable[..., Program], tmp_path: Path) -> None:
    returns = start("hydra.launcher.slots=2", "how=return,raise").returns()
    seen = returns[0]["value"]
    assert (seen["num"], seen["id"], seen["from_config"]) == (0, "0", "job 0")
    assert seen["output_dir"] == str(tmp_path / "sweep" / "0")
    assert (tmp_path / "sweep" / "1" / ".hydra" / "overrides.yaml").read_text().endswith("- how=raise\n")
    assert seen["argv"][0] == str(APP)
    assert "how=return,raise" in seen["argv"]
    pid = seen["pid"]
    assert (tmp_path / "callback0").read_text() == f"start {pid}\nend {pid} COMPLETED\n"
    assert (tmp_path / "callback1").read_text().endswith("FAILED\n")


def test_workers_are_reused_over_jobs_and_batches_and_do_not_import_the_program(start: Callable[..., Program]) -> None:
    program = start("hydra.launcher.slots=2", "hydra.sweeper.max_batch_size=3", "size=0,1,2,3,4,5,100000")
    returns = program.returns()
    assert [len(result["value"]["filling"]) for result in returns] == [0, 1, 2, 3, 4, 5, 100000]
    assert [result["value"]["num"] for result in returns] == list(range(7))
    assert len({result["value"]["pid"] for result in returns}) <= 2
    assert program.read("stdout").count("imported") == 1
    assert not any(alive(result["value"]["pid"]) for result in returns)


def test_each_slot_is_pinned_before_its_interpreter_starts(start: Callable[..., Program]) -> None:
    returns = start(
        "hydra.launcher.devices=[0,1]",
        "hydra.launcher.runs_per_device=2",
        "hydra.launcher.threads_per_slot=3",
        "together=4",
        "size=0,1,2,3",
    ).returns()
    environments = [result["value"]["environment"] for result in returns]
    assert sorted(environment["CUDA_VISIBLE_DEVICES"] for environment in environments) == ["0", "0", "1", "1"]
    assert {environment["OMP_NUM_THREADS"] for environment in environments} == {"3"}
    assert len({result["value"]["pid"] for result in returns}) == 4


def test_a_config_that_cannot_be_composed_is_one_jobs_failure(start: Callable[..., Program]) -> None:
    returns = start("hydra.launcher.slots=1", "+extra=good,missing", "size=1,2").returns()
    assert [result["status"] for result in returns] == ["COMPLETED", "COMPLETED", "FAILED", "FAILED"]
    assert "Could not find 'extra/missing'" in returns[2]["value"]
    assert returns[2]["overrides"][1:] == ["+extra=missing", "size=1"]


@pytest.mark.parametrize("signum, code", [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_a_signal_to_the_whole_group_reaches_each_job_once(
    start: Callable[..., Program], signum: signal.Signals, code: int
) -> None:
    program = start("hydra.launcher.slots=3", "how=stop,deaf,sleep", "hydra.launcher.stop_seconds=2")
    program.wait_for("ready*", 2)
    program.wait_for("child*", 2)
    os.killpg(program.process.pid, signum)
    assert program.process.wait(60) == code
    assert not any(alive(pid) for pid in [*program.pids("job*"), *program.pids("child*")])
    assert program.read("signals0") == program.read("signals1") == "SIGTERM\n"
    assert "saved" not in program.read("stderr")  # a job that was asked to stop, and did, is not news


def test_jobs_that_stop_are_not_waited_for_any_longer(start: Callable[..., Program]) -> None:
    program = start("hydra.launcher.slots=2", "how=stop,sleep", "hydra.launcher.stop_seconds=600")
    program.wait_for("ready0", 1)
    program.wait_for("child1", 1)
    program.process.terminate()
    assert program.process.wait(120) == 143


def test_a_second_signal_kills(start: Callable[..., Program]) -> None:
    program = start("hydra.launcher.slots=1", "how=deaf,return", "hydra.launcher.stop_seconds=600")
    program.wait_for("ready0", 1)
    program.process.send_signal(signal.SIGINT)
    program.wait_for("signals0", 1)
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(120) != 0
    assert not any(alive(pid) for pid in program.pids("job*"))


def test_nothing_outlives_a_killed_parent(start: Callable[..., Program]) -> None:
    program = start("hydra.launcher.slots=3", "how=stop,deaf,sleep", "hydra.launcher.stop_seconds=2")
    program.wait_for("ready*", 2)
    program.wait_for("child*", 2)
    program.process.kill()
    pids = [*program.pids("job*"), *program.pids("child*")]
    assert len(pids) == 5
    until(lambda: not any(alive(pid) for pid in pids), 60)
    assert program.read("signals0") == program.read("signals1") == "SIGTERM\n"


def test_a_worker_that_dies_between_two_batches_is_replaced(start: Callable[..., Program], tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    hold.touch()
    program = start("hydra.launcher.slots=1", "hydra.sweeper.max_batch_size=1", "size=1,2")
    program.wait_for("launched1", 1)
    [pid] = program.pids("job*")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), 60)
    hold.unlink()
    assert [result["status"] for result in program.returns()] == ["COMPLETED", "COMPLETED"]


@pytest.mark.parametrize(
    "keys, expected",
    [
        ({}, (CORES, "1", None)),
        ({"slots": 1}, (1, str(CORES), None)),
        ({"slots": CORES + 1}, (CORES + 1, "1", None)),
        ({"threads_per_slot": CORES}, (1, str(CORES), None)),
        ({"devices": []}, (CORES, "1", "")),
        ({"devices": ["GPU-1", "2,3"], "slots": 3}, (3, None, ["GPU-1", "2,3", "GPU-1"])),
    ],
)
def test_slots_and_threads_follow_from_the_machine(
    keys: dict[str, Any], expected: tuple[int, str | None, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    slots, threads, devices = expected
    found = machine.Slots(**keys).environments()
    assert len(found) == slots
    if threads is not None:
        assert {environment["OMP_NUM_THREADS"] for environment in found} == {threads}
    names = [environment.get("CUDA_VISIBLE_DEVICES") for environment in found]
    assert names == (devices if isinstance(devices, list) else [devices] * slots)


@pytest.mark.parametrize(
    "listed, devices, expected",
    [
        (
            "GPU 0: NVIDIA A100 (UUID: GPU-5f)\n  MIG 1g.5gb Device 0: (UUID: MIG-7)\nGPU 1: NVIDIA A100",
            None,
            ["0", "1"],
        ),
        ("GPU 0: NVIDIA A100 (UUID: GPU-5f)\nGPU 1: NVIDIA A100 (UUID: GPU-6f)", 1, ["0"]),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", None, []),
    ],
)
def test_gpus_are_those_that_the_driver_lists(
    listed: str, devices: int | None, expected: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!{sys.executable}\nprint({listed!r})\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert machine.device_names(devices) == expected


def test_gpus_that_somebody_has_hidden_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, GPU-5f")
    assert machine.device_names(None) == ["3", "GPU-5f"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert machine.device_names(None) == []


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"slots": 0}, "slots must be from 1 to 1024, got 0"),
        ({"threads_per_slot": -1}, "threads_per_slot must be from 1 to 1024, got -1"),
        ({"devices": "0,1"}, "devices must be a number or a list, got '0,1': try [0,1]"),
        ({"devices": 3}, "devices is 3, but the visible GPUs are ['0', '1']"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ValueError, match=re.escape(message)):
        machine.Slots(**keys).environments()


@pytest.mark.slow
def test_initbench_comes_to_the_same_as_with_one_process(tmp_path: Path) -> None:
    arguments = ["-m", "model=mlp", "init=orthogonal", "seed=0,1", "logger=none", "trainer.threads=1"]
    arguments += ["trainer.max_steps=4", "data.val_every_n_steps=2", "trainer.accelerator=cpu"]
    for launcher in ("basic", "local"):
        command = [sys.executable, "-m", "initbench", *arguments, f"hydra/launcher={launcher}", f"runs_dir={launcher}"]
        subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, check=True, timeout=200)
    basic, local = (
        {path.parent.name: json.loads(path.read_text()) for path in (tmp_path / launcher).rglob("record.json")}
        for launcher in ("basic", "local")
    )
    assert len(basic) == 2
    assert basic.keys() == local.keys()
    for name, record in basic.items():
        assert record["status"] == "finished"
        for part in ("results", "initial_weights", "steps"):
            assert local[name][part] == record[part], part
        assert " -m initbench -m model=mlp " in local[name]["provenance"]["command"]  # what was typed, not the worker's
