"""A study in the hands of somebody else than its owner, whom the machine knows neither a name nor a home of."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from configs import compose_config
from PIL import Image

from initbench.record.lock import lock
from initbench.record.store import Store

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

SOMEBODY = 54321
# Everything is imported, and used once, before: the folders of Python may not be theirs to read.
AS_SOMEBODY = f"""
import contextlib, io, json, os, sys, warnings
from pathlib import Path
from initbench.analysis.loading.frame import load_runs
from initbench.cache import cache_folder
from initbench.data import image_folder
from initbench.packed import speed
from initbench.record.index import of_study
from initbench.record.lock import is_held, lock
from initbench.record.store import Store, left_alone
from initbench.training.run import run

warnings.simplefilter("ignore")  # Lightning's advice; stderr is compared below
study, configs = Path("runs/main"), json.loads(sys.argv[1])
run(configs["warm"]), load_runs(study), image_folder("", "mine", 8), speed.remembered(configs["warm"], {{}})
of_study.cache_clear()  # what was read with more rights
os.setgroups([]), os.setgid({SOMEBODY}), os.setuid({SOMEBODY})
for name in ("HOME", "XDG_CACHE_HOME"):
    os.environ.pop(name, None)
found = {{}}

def note(name, what):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors):
        try:
            value = what()
        except Exception as error:  # which is what is looked at
            value = f"{{type(error).__name__}}: {{error}}"
    found[name] = value, errors.getvalue().splitlines()

def take(config):
    with lock(Store(config).folder, patience=0) as mine:
        return mine

theirs, hidden, unreadable, new = (configs[key] for key in ("theirs", "hidden", "unreadable", "new"))
note("held", lambda: is_held(Store(theirs).folder))
note("taken", lambda: take(theirs))
note("alone", lambda: left_alone(Store(theirs).folder))
note("hidden", lambda: is_held(Store(hidden).folder))
note("runs", lambda: sorted(map(int, load_runs(study)["seed"])))
note("again", lambda: Store(unreadable).write("refused")["status"])
note("new", lambda: run(new)["status"])
note("cache", cache_folder)
note("speed", lambda: (speed.remember(new, {{}}, speed.Speed(4)), speed.remembered(new, {{}})))
note("mine", lambda: len(image_folder("", "mine", 8).train_images))
note("read-only", lambda: len(image_folder("", "read-only", 8).train_images))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A folder that all may enter; tmp_path is its owner's alone."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def found(shared: Path) -> dict[str, Any]:
    """By name: what somebody gets, and the lines on stderr."""
    fixed = ["model=mlp", "model.width=8", "trainer.max_steps=2", "logger=none", "trainer.accelerator=cpu"]
    names = ("theirs", "hidden", "unreadable", "new")
    configs = {name: compose_config(*fixed, "study=main", f"seed={seed}") for seed, name in enumerate(names)}
    before = Path.cwd()
    os.chdir(shared)
    try:
        for name in ("theirs", "hidden", "unreadable"):
            Store(configs[name]).write("interrupted")
            with lock(Store(configs[name]).folder):
                pass
        locks = {path.name.split("-")[3]: path for path in Path("runs/main/.locks").iterdir()}
        locks["seed1"].chmod(0)
        locks["seed2"].unlink()
        for path in (Path("runs"), Path("runs/main"), Path("runs/main/.locks")):
            path.chmod(0o777)
        folder = Store(configs["unreadable"]).folder
        os.chown(folder, SOMEBODY, SOMEBODY)
        (folder / "record.json").chmod(0)
        for images in ("mine", "read-only"):
            for split in ("train", "test"):
                Path(images, split, "cat").mkdir(parents=True)
                Image.new("RGB", (8, 8)).save(Path(images, split, "cat", "0.png"))
        os.chown("mine", SOMEBODY, SOMEBODY)
        configs["warm"] = compose_config(*fixed, "study=warm")
        done = subprocess.run(
            [sys.executable, "-c", AS_SOMEBODY, json.dumps(configs)],
            env={**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(shared / "cache")},
            capture_output=True,
            text=True,
            timeout=200,
        )
    finally:
        os.chdir(before)
    assert done.returncode == 0, done.stderr
    results: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return results


def test_a_lock_of_somebody_elses_can_be_asked_and_not_taken(found: dict[str, Any]) -> None:
    assert found["held"] == [False, []]
    assert found["hidden"] == [True, []]  # nobody may ask
    said, _ = found["taken"]
    assert said.startswith("LeftAlone: runs/main/.locks/mlp-mnist_mini-")
    assert "cannot be opened (Permission denied), so its run is left alone: ask its owner" in said
    assert found["alone"] == [True, [said.replace("LeftAlone", "initbench")]]


def test_a_record_that_may_not_be_read_is_passed_over_and_set_aside(found: dict[str, Any], shared: Path) -> None:
    runs, (line,) = found["runs"]
    assert runs == [0, 1]
    assert "record.json cannot be read (Permission denied): the next sweep that has this run" in line
    assert found["again"] == ["refused", []]
    assert len(list(shared.glob("runs/main/*seed2*/record.json.damaged"))) == 1


def test_a_run_needs_no_home(found: dict[str, Any], shared: Path) -> None:
    assert found["new"] == ["finished", []]
    assert found["cache"] == [None, []]
    assert found["speed"] == [[None, None], []]
    assert found["mine"] == [1, []]
    said, _ = found["read-only"]
    assert said.startswith("ValueError: no permission to write the image cache in read-only/.initbench: set XDG_")
    assert not list(shared.rglob("~*"))
