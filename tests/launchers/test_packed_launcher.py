"""`hydra/launcher=packed` as it is typed: what packs is packed, the rest runs by itself, and the end is the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import forking
import pandas as pd
import pytest

import initbench
from initbench.workers.slots import Slots, sharing

FAST = ["trainer.max_steps=8", "data.val_every_n_steps=4", "logger=none", "trainer.accelerator=cpu"]


def sweep(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Typed in `folder`, without anybody's account of wandb; in two slots, unless `arguments` say otherwise."""
    command = [sys.executable, "-m", "initbench", "-m", "hydra/launcher=packed", "hydra.launcher.slots=2"]
    others = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    return forking.run(folder, [*command, *FAST, *arguments], {**others, **environment})


def test_what_packs_and_what_does_not_end_in_one_table(tmp_path: Path) -> None:
    arguments = ["init=kaiming_normal,default,sparse", "init.bias=0", "model=mlp,rnn", "seed=0,1"]
    first = sweep(tmp_path, *arguments)
    assert first.returncode == 0, first.stderr
    assert "3 runs by themselves: torch.func.vmap does not support RNN" in first.stdout
    runs = initbench.load_runs(tmp_path / "runs")
    assert runs["status"].eq("finished").all()
    assert len(runs) == 12
    assert "mlp on mnist_mini: 6 runs, in packs of 3+3" in first.stdout
    assert first.stdout.count(" finished ") == 12
    assert "has the highest mean test accuracy" in first.stdout
    second = sweep(tmp_path, *arguments)
    assert "12 runs, 12 of them already done" in second.stdout


def test_one_run_that_cannot_be_is_refused_as_anywhere(tmp_path: Path) -> None:
    found = sweep(tmp_path, "hydra.launcher.slots=1", "model=mlp", "init=sparse", "init.sparsity=0.5,7,0.9")
    assert found.returncode == 2
    frame = initbench.load_runs(tmp_path / "runs")
    assert frame["status"].value_counts().to_dict() == {"finished": 2, "refused": 1}
    assert "refused  classifier.weight: sparsity must lie in [0, 1), got 7" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    "arguments, refused, message",
    [
        (["seed=0,1,two"], 1, "seed must be a whole number in [0, 4294967296), got 'two'"),
        pytest.param(
            ["optimizer.lr=0.1,0.2,O.3"],
            1,
            "optimizer.lr must be a number of at least 0, got 'O.3'",
            marks=pytest.mark.slow,
        ),
        # Lightning has a default of its own.
        pytest.param(["seed=0,1", "~trainer.deterministic"], 0, "", marks=pytest.mark.slow),
        pytest.param(
            ["seed=0,1", "logger=csv", "+logger.colour=red"], 2, "unknown key logger.colour.", marks=pytest.mark.slow
        ),
        (["seed=0,1", "logger=wandb", "logger.mode=online"], 2, "logger.mode=online, but no API key"),
    ],
)
def test_a_mistake_is_what_it_is_by_itself(arguments: list[str], refused: int, message: str, tmp_path: Path) -> None:
    """That of one run costs no other."""
    found = sweep(tmp_path, "hydra.launcher.slots=1", "model=mlp", *arguments, HOME=str(tmp_path))
    assert found.returncode == (2 if refused else 0), found.stderr
    statuses = initbench.load_runs(tmp_path / "runs")["status"].value_counts().to_dict()
    assert statuses.get("refused", 0) == refused
    assert statuses.get("finished", 0) == (2 if refused < 2 else 0)
    assert message in found.stderr.replace("\n", " ")
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    "inits, slots", [pytest.param("orthogonal", 2, marks=pytest.mark.slow), ("orthogonal,default", 1)]
)
def test_jobs_that_are_the_same_run_are_one(inits: str, slots: int, tmp_path: Path) -> None:
    """An optimizing sweeper asks for several at a time, and may ask twice for the same; two of them are a pack."""
    words = ["hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.n_trials=8"]
    words += ["hydra.sweeper.n_jobs=8", "hydra.sweeper.sampler.seed=1", f"hydra.launcher.slots={slots}"]
    found = sweep(tmp_path, *words, "model=mlp", f"init=choice({inits})")
    assert found.returncode == 0, found.stderr
    runs = initbench.load_runs(tmp_path / "runs")
    assert sorted(runs["init"]) == sorted(inits.split(","))
    assert runs["replicas"].eq(len(runs)).all()
    assert (
        f"best_value: {runs['val/best_accuracy'].max()}"
        in (tmp_path / "runs/main/.sweep").joinpath("optimization_results.yaml").read_text()
    )


def test_runs_whose_curvature_is_measured_are_trained_by_themselves(tmp_path: Path) -> None:
    words = ["model=mlp", "seed=0,1", "diagnostics=init", "diagnostics.curvature=true", "data.batch_size=32"]
    found = sweep(tmp_path, *words)
    assert found.returncode == 0, found.stderr
    assert "2 runs by themselves: diagnostics.curvature needs the optimizer of a single run" in found.stdout
    layers = [pd.read_parquet(path) for path in tmp_path.glob("runs/main/*/layers.parquet")]
    assert len(layers) == 2
    assert all("preconditioned_hessian_largest" in set(rows["quantity"]) for rows in layers)


def test_what_happens_in_a_worker_is_said(tmp_path: Path) -> None:
    """Workers are silent: more than two replicas at once are too many for the memory of these."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if os.environ.get('LOCAL_LAUNCHER_SLOT'):\n"
        "    import torch\n"
        "    step = torch.optim.SGD.step\n"
        "    def small(self, closure=None):\n"
        "        if self.param_groups[0]['params'][0].shape[0] > 2:\n"
        "            raise torch.OutOfMemoryError('more than two')\n"
        "        return step(self, closure)\n"
        "    torch.optim.SGD.step = small\n"
    )
    words = ["hydra.launcher.slots=1", "model=mlp", "optimizer=sgd", "seed=0,1,2,3"]
    found = sweep(tmp_path, *words, PYTHONPATH=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert "out of memory with 4 runs in a pack; trying with half as many" in found.stdout
    assert initbench.load_runs(tmp_path / "runs")["status"].eq("finished").all()
    assert list(tmp_path.glob("runs/main/.packs/*")) == []


def test_a_wrong_number_of_replicas_is_one_line(tmp_path: Path) -> None:
    found = sweep(tmp_path, "model=mlp", "hydra.launcher.replicas=0")
    assert found.returncode != 0
    assert "hydra.launcher.replicas must be at least 1, got 0" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_dry_run_runs_nothing_and_says_what_would_be_packed(tmp_path: Path) -> None:
    found = sweep(tmp_path, "model=mlp", "seed=range(6)", "trainer.compile=true,false", "dry_run=true").stdout
    assert "12 runs, 12 to do" in found
    assert "mlp on mnist_mini: 6 runs, in packs of 3+3" in found
    assert "6 runs by themselves: trainer.compile" in found
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_of_auto_goes_by_what_was_measured(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    words = ["hydra/launcher=auto", "model=mlp", "seed=range(8)"]
    first = sweep(tmp_path, *words, "dry_run=true", **environment).stdout
    assert "mlp on mnist_mini: 8 runs, in packs if that is faster, which is measured first" in first
    sweep(tmp_path, *words, "study=other", **environment)
    speed = tmp_path / "cache/initbench/speed.json"
    (measured,) = json.loads(speed.read_text())
    for replicas, how in ((4, "8 runs, in packs of 4+4 (it was so)"), (0, "8 runs by themselves: it was so")):
        speed.write_text(json.dumps({measured: {"replicas": replicas, "why": "it was so"}}))
        assert how in sweep(tmp_path, *words, "dry_run=true", **environment).stdout
    assert (
        "1 run by itself: no more than this machine runs at once"
        in sweep(tmp_path, *words[:2], "seed=0", "dry_run=true", **environment).stdout
    )
    assert not (tmp_path / "runs/main").exists()


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on(tmp_path: Path) -> None:
    """Its pack was saved once or more; typed again, the same command ends with the bits of an undisturbed sweep."""
    words = ["model=mlp", "init=orthogonal,default", "seed=0,1", "trainer.max_steps=1200", "data.val_every_n_steps=100"]
    long = [word for word in [*FAST, *words] if word not in FAST[:2]]
    command = [sys.executable, "-m", "initbench", "-m", "hydra/launcher=packed", "hydra.launcher.slots=1"]
    command += [*long, "checkpoint_seconds=0.2"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as killed:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("runs/main/.packs/*.ckpt")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        killed.kill()
    assert set(initbench.load_runs(tmp_path / "runs")["status"]) == {"running"}
    for folder in ("runs", "undisturbed"):
        subprocess.run([*command, f"runs_dir={folder}"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    parts, whole = (initbench.load_runs(tmp_path / folder) for folder in ("runs", "undisturbed"))
    columns = ["init", "seed", "status", "test/accuracy", "val/loss", "train/loss", "steps"]
    pd.testing.assert_frame_equal(parts[columns], whole[columns], check_exact=True)
    for path in parts["path"]:
        record = json.loads((Path(path) / "record.json").read_text())
        assert (record["attempt"], len(record["resumed_at"])) == (1, 1)
        assert "continues, as one of 4 replicas" in (Path(path) / "log.txt").read_text()


def test_the_last_pack_of_a_sweep_that_was_killed_stays_one(tmp_path: Path) -> None:
    """Two of eight runs are left. With one on each slot, their sums would be rounded in another order."""
    (tmp_path / "deadly.py").write_text(
        "import glob, os, time\n\nfrom initbench.init.assignment import stream\n\n"
        "def normal(tensor, layer, generator, std):\n"
        "    tensor.normal_(0, std, generator=generator)\n"
        "    is_last = generator.initial_seed() == stream(3, layer.name).initial_seed()\n"
        "    if is_last and not os.path.exists('again'):\n"
        "        while sum('\"finished\"' in open(path).read() for path in glob.glob('*/*/*/record.json')) < 6:\n"
        "            time.sleep(0.1)\n"
        "        os.kill(os.getppid(), 9)\n"
        "        time.sleep(60)\n"
    )
    words = ["model=mlp", "init=normal", "init._target_=deadly.normal", "init.std=0.1,0.2", "seed=range(4)"]
    words += ["hydra.launcher.replicas=2"]
    assert sweep(tmp_path, *words).returncode == -signal.SIGKILL
    (tmp_path / "again").touch()
    for folder in ("runs", "undisturbed"):
        assert sweep(tmp_path, *words, f"runs_dir={folder}").returncode == 0
    parts, whole = (initbench.load_runs(tmp_path / folder) for folder in ("runs", "undisturbed"))
    columns = ["init", "seed", "status", "test/accuracy", "val/loss", "train/loss", "steps"]
    pd.testing.assert_frame_equal(parts[columns], whole[columns], check_exact=True)
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/main/*/record.json")]
    assert [record["replicas"] for record in records] == [2] * 8
    assert list(tmp_path.glob("*/main/.packs/*")) == []


@pytest.mark.slow
def test_a_process_that_dies_again_and_again_is_given_fewer_runs(tmp_path: Path) -> None:
    """At last each of its runs is by itself, and the one that kills whatever it is in fails alone."""
    (tmp_path / "deadly.py").write_text(
        "import os\n\ndef normal(tensor, generator, std):\n"
        "    tensor.normal_(0, std, generator=generator)\n"
        "    if std == 3:\n        os._exit(9)\n"
    )
    arguments = [
        "model=mlp",
        "init=normal",
        "init._target_=deadly.normal",
        "init.std=1,2,3,4",
        "hydra.launcher.slots=1",
    ]
    found = sweep(tmp_path, *arguments)
    frame = initbench.load_runs(tmp_path / "runs")
    assert frame["status"].value_counts().to_dict() == {"finished": 3, "failed": 1}, found.stderr
    assert "a process that trained 4 runs died; trying again" in found.stdout
    assert "it died again; trying with half as many runs" in found.stdout
    assert list(frame.loc[frame["status"] == "failed", "init"]) == ["deadly.normal(std=3)"]
    assert found.returncode == 1


@pytest.mark.slow
def test_auto_measures_what_can_be_built(tmp_path: Path) -> None:
    """The first initializer is none for this model: that says nothing of the others, nor of the next sweep."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "initbench", "-m", "hydra.launcher.slots=1", "model=mlp", *FAST]

    def said(*arguments: str) -> str:
        return forking.run(tmp_path, [*command, *arguments], environment).stdout

    assert "2 runs by themselves: the speed of a pack cannot be measured" in said("init=chrono", "seed=0,1")
    assert list(tmp_path.glob("cache/initbench/speed.json")) == []
    said("init=chrono,orthogonal", "seed=0,1")
    (pace,) = json.loads((tmp_path / "cache/initbench/speed.json").read_text()).values()
    assert "ms" in pace["why"]
    assert initbench.load_runs(tmp_path / "runs")["status"].value_counts().to_dict() == {"refused": 2, "finished": 2}


@pytest.mark.slow
def test_auto_says_what_it_chose_and_why(tmp_path: Path) -> None:
    """What it has measured it remembers, and the next sweep goes by that."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "initbench", "-m", "hydra.launcher.slots=1", *FAST]

    def said(*arguments: str) -> str:
        found = forking.run(tmp_path, [*command, *arguments], environment)
        assert found.returncode == 0, found.stderr
        return found.stdout

    first = said("model=mlp,rnn", "seed=0,1")
    assert "2 runs by themselves: torch.func.vmap does not support RNN" in first
    (path,) = tmp_path.glob("cache/initbench/speed.json")
    speed = json.loads(path.read_text())
    assert len(speed) == 2
    assert all(pace["why"] in first for pace in speed.values())
    (mlp,) = (key for key, pace in speed.items() if "RNN" not in pace["why"])
    for seeds, replicas, words in (
        ("2,3", 4, "mlp on mnist_mini: 2 runs, in packs of 2 (it was so)"),
        ("4,5", 0, "2 runs by themselves: it was so"),
    ):
        path.write_text(json.dumps({**speed, mlp: {"replicas": replicas, "why": "it was so"}}))
        assert words in said("model=mlp", f"seed={seeds}")
    frame = initbench.load_runs(tmp_path / "runs")
    assert frame["status"].eq("finished").all()
    assert len(frame) == 8


def test_what_a_pack_raises_each_of_its_runs_says_by_itself(tmp_path: Path) -> None:
    """An optimizer's step that raises what torch never would: records hold it, with the traceback."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if os.environ.get('LOCAL_LAUNCHER_SLOT'):\n"
        "    import torch\n"
        "    def step(self, closure=None):\n"
        "        if closure is not None: closure()\n"
        "        raise KeyError('nobody expects it')\n"
        "    torch.optim.SGD.step = step\n"
    )
    words = ["hydra.launcher.slots=1", "model=mlp", "optimizer=sgd", "seed=0,1"]
    found = sweep(tmp_path, *words, PYTHONPATH=str(tmp_path))
    assert "2 runs by themselves: KeyError: 'nobody expects it'" in found.stdout
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/main/*/record.json")]
    assert [(one["status"], one["reason"]) for one in records] == [("failed", "KeyError: 'nobody expects it'")] * 2
    assert all("in step" in one["traceback"] for one in records)
    assert found.returncode == 1


@pytest.mark.slow
def test_where_there_are_fewer_runs_than_slots_each_has_more_threads(tmp_path: Path) -> None:
    """A run of its own has all cores; the rest of a sweep has as many as the whole."""
    cores = len(os.sched_getaffinity(0))
    command = [sys.executable, "-m", "initbench", "-m", "model=mlp", *FAST]
    for number, study in ((1, "one"), (2 * cores, "many")):
        seeds = f"seed=range({number})"
        subprocess.run([*command, f"study={study}", seeds], cwd=tmp_path, check=True, capture_output=True)
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("runs/one/*/record.json"))
    assert record["provenance"]["threads"] == cores
    first = next(tmp_path.glob("runs/many/*-seed0-*"))
    (first / "record.json").unlink()
    subprocess.run([*command, "study=many", f"seed=range({2 * cores})"], cwd=tmp_path, check=True, capture_output=True)
    assert json.loads((first / "record.json").read_text())["provenance"]["threads"] == 1


def test_slots_share_a_device_or_have_one_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert sharing(Slots().environments()) == 1
    assert sharing(Slots(runs_per_device=3).environments()) == 3
    assert sharing(Slots(slots=4, devices=[]).environments()) == 4  # the memory of the machine


def test_one_line_says_that_wandb_is_offline(tmp_path: Path) -> None:
    """Each of two processes has runs; the first speaks for both."""
    found = sweep(tmp_path, "logger=wandb", "model=mlp", "seed=range(4)", HOME=str(tmp_path))
    assert found.returncode == 0, found.stderr
    assert found.stderr.count("wandb: offline: no API key") == 1
    assert len(list(tmp_path.glob("runs/main/*/wandb/offline-run-*"))) == 4
    one = next(tmp_path.glob("runs/main/mlp-*"))
    shutil.rmtree(one / "wandb")
    (one / "untold").touch()  # as if the sweep had been killed when only this run was not told
    again = sweep(tmp_path, "logger=wandb", "model=mlp", "seed=range(4)", HOME=str(tmp_path))
    assert "4 runs, 4 of them already done" in again.stdout
    assert len(list(one.glob("wandb/offline-run-*"))) == 1
    assert not (one / "untold").exists()


@pytest.mark.parametrize(
    "visible, processes, expected",
    [
        ("0,1,2,3", 2, {"devices": ["0,1", "2,3"]}),
        ("0,1,2", 2, {"devices": ["0,1"]}),  # the third has nobody to work with
        ("0", 2, {"devices": ["0"]}),  # too few: the run says so
        ("", 10**6, {"devices": None, "slots": 1}),
    ],
)
def test_a_slot_has_as_many_devices_as_a_run(
    visible: str, processes: int, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    found = Slots().for_processes(processes)
    assert {key: getattr(found, key) for key in expected} == expected
    found.environments()
    asked = Slots(devices=["3"])
    assert asked.for_processes(processes) == asked
