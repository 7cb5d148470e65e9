"""Sweeps through a real Ray: a head and a second node, both on this machine; skipped where Ray is not installed."""

import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from outcomes import outcomes
from sweeps import LANGUAGE_MODEL, LONG, RACE, SHORT, Sweep, is_raced_as_on_this_machine, sweeps

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not find_spec("hydra_plugins.hydra_ray_launcher"), reason="hydra-ray-launcher is not installed"),
]

# Long enough that both are trained at once, whichever begins first; records hold the folder of the data.
LONG = [*LONG, "trainer.max_steps=800", "data_dir=data"]
RAY = ["hydra/launcher=ray", "hydra.launcher.ray.init.address=auto"]


def free_ports() -> tuple[int, int]:
    """As the system gives them out: beyond 10002 to 19999, where Ray's workers listen."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@contextmanager
def node(folder: str, name: str, *arguments: str) -> Iterator[None]:
    """A head or another node of a cluster; ended by its pid, as `ray stop` would end every Ray of the machine."""
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", *arguments]
    log = Path(folder, f"{name}.log")
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        until(lambda: process.poll() is not None or "Ray runtime started" in log.read_text(), 60)
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="session", autouse=True)
def cluster() -> Iterator[None]:
    """A head, and a second node with what Ray takes for two GPUs; each with one CPU."""
    port, client_port = free_ports()
    address = f"127.0.0.1:{port}"
    shared = ["--object-store-memory=80000000", "--disable-usage-stats"]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray") as folder:
        patch.setenv("RAY_ADDRESS", address)  # this one, whichever others there are on this machine
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", "")
        head = ["--head", f"--port={port}", "--num-cpus=1", "--include-dashboard=false"]
        head += [f"--ray-client-server-port={client_port}", f"--temp-dir={folder}"]
        with node(folder, "head", *head, *shared):
            second = [f"--address={address}", "--num-cpus=1", "--num-gpus=2"]
            with node(folder, "second", *second, *shared):
                yield


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    """A function that starts a sweep through Ray in a folder of its own."""
    with sweeps(tmp_path / "ray", *RAY) as start:
        yield start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What two long runs come to, one after the other."""
    with Sweep(tmp_path_factory.mktemp("undisturbed") / "basic", *LONG, "seed=0,1") as basic:
        assert basic.end() == 0, basic.text
        yield outcomes(basic.study)


def until(condition: Callable[[], Any], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.05)


def parent(pid: int) -> int | None:
    """The parent of a worker is its node's raylet; None if there is no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return None


def pids(sweep: Sweep) -> list[int]:
    return [record["provenance"]["pid"] for record in sweep.records]


def test_workers_take_one_run_after_the_other(sweep: Callable[..., Sweep]) -> None:
    ended = sweep(*SHORT, "init=orthogonal,normal", "seed=0,1,2")
    assert ended.end() == 0, ended.text
    assert [record["status"] for record in ended.records] == ["finished"] * 6
    assert len(set(pids(ended))) <= 2
    assert sorted(path.name for path in ended.folder.iterdir()) == ["deeds.py", "log.txt", "runs"]
    (command,) = {record["provenance"]["command"] for record in ended.records}
    assert " -m initbench -m data_dir=" in command  # what was typed, not the worker's


def test_a_language_model_gets_the_numbers_of_a_local_sweep(sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    grid = [*LANGUAGE_MODEL, "init=default,orthogonal", "seed=0,1"]
    ended = sweep(*grid)
    assert ended.end() == 0, ended.text
    assert [record["status"] for record in ended.records] == ["finished"] * 4
    with Sweep(tmp_path / "basic", "hydra/launcher=basic", *grid) as local:
        assert local.end() == 0, local.text
    assert outcomes(ended.study) == outcomes(local.study)


def test_a_race_decides_as_on_one_machine(sweep: Callable[..., Sweep], tmp_path: Path) -> None:
    raced = sweep(*RACE)
    assert raced.end() == 0, raced.text
    assert is_raced_as_on_this_machine(raced, tmp_path / "local")


def test_one_bad_run_loses_no_other(sweep: Callable[..., Sweep]) -> None:
    """Two are killed -9, one before it has a record; one exits, one raises what cannot be pickled."""
    deeds = "kill,kill_at_once,raise,exit,after_exit,last"
    ended = sweep(*SHORT, "init._target_=deeds.act", f"+init.deed={deeds}")
    assert ended.end() == 1
    failed = dict.fromkeys(["kill", "kill_at_once", "exit", "raise"], "failed")
    assert ended.statuses("deed") == {**failed, "after_exit": "finished", "last": "finished"}
    reasons = {record["config"]["init"]["deed"]: record.get("reason") for record in ended.records}
    assert "process died" in reasons["kill"]
    assert "lost: WorkerCrashedError: The worker died" in reasons["kill_at_once"]
    assert "SystemExit: 3" in reasons["exit"]
    assert "Unpicklable: cannot be pickled" in reasons["raise"]


def test_a_stopped_or_killed_sweep_goes_on_bit_for_bit(
    sweep: Callable[..., Sweep], undisturbed: dict[str, Any]
) -> None:
    grid = [*LONG, "seed=0,1"]
    stopped = sweep(*grid)
    stopped.wait_for(lambda: len(list(stopped.study.glob("*/checkpoint.ckpt"))) == 2)
    assert len({parent(worker) for worker in pids(stopped)}) == 2  # both nodes were at it
    stopped.process.terminate()
    began = time.monotonic()
    assert stopped.end() == 143
    assert time.monotonic() - began < 5
    assert [record["status"] for record in stopped.records] == ["interrupted"] * 2

    killed = sweep(*grid)
    killed.wait_for(lambda: [record["status"] for record in killed.records] == ["running"] * 2)
    workers = pids(killed)
    killed.process.kill()
    until(lambda: not any(map(parent, workers)), 20)
    assert [record["status"] for record in killed.records] == ["running"] * 2

    again = sweep(*grid)
    assert again.end() == 0, again.text
    assert outcomes(again.study) == undisturbed
    assert [len(record["resumed_at"]) for record in again.records] == [2, 2]


def test_a_worker_keeps_its_gpu(sweep: Callable[..., Sweep], monkeypatch: pytest.MonkeyPatch) -> None:
    """And sees what the sweep was typed with, although its node was started without."""
    monkeypatch.setenv("WANDB_NOTES", "typed")
    share = ["hydra.launcher.ray.remote.num_cpus=0.5", "hydra.launcher.ray.remote.num_gpus=0.6"]
    batches = "hydra.sweeper.max_batch_size=6"
    noted = sweep(*SHORT, "init._target_=deeds.note", *share, "seed=range(9)", batches)
    assert noted.end() == 0, noted.text
    notes = [line.split() for line in (noted.folder / "notes.txt").read_text().splitlines()]
    gpus = {worker: {gpu for pid, _, gpu, _ in notes if pid == worker} for worker, *_ in notes}
    assert {len(seen) for seen in gpus.values()} == {1}
    assert set.union(*gpus.values()) == {"0", "1"}
    assert len(notes) == 9
    assert len(gpus) <= 4  # two in each batch
    assert len({raylet for _, raylet, *_ in notes}) == 1
    assert {typed for *_, typed in notes} == {"typed"}


def test_runs_that_nothing_can_run_are_said_to_wait(sweep: Callable[..., Sweep]) -> None:
    waiting = sweep(*SHORT, "seed=0,1", "hydra.launcher.ray.remote.num_gpus=3")
    waiting.wait_for(
        lambda: "no machine of the Ray cluster has 1 CPU, 3 GPU for a run: waiting for one" in waiting.text
    )
    waiting.process.terminate()
    assert waiting.end() == 143


def test_what_ray_refuses_is_said_in_one_message(sweep: Callable[..., Sweep]) -> None:
    refused = sweep(*SHORT, "seed=0,1", "+hydra.launcher.ray.remote.num_gpu=1")
    assert refused.end() == 2
    assert "initbench: Ray: " in refused.text
    assert "num_gpu" in refused.text
    assert "Traceback" not in refused.text
