"""A sweep that is killed again and again, without warning, ends with the bits of one that was left alone."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from outcomes import outcomes

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

KILLS = 20
RUNS = 24
SWEEP = [
    *("-m", "logger=none", "trainer.accelerator=cpu", "trainer.threads=1", "model=mlp,lenet", "seed=0,1,2"),
    *("init=orthogonal,kaiming_normal,constant,lsuv", "data.crop_padding=2", "data.val_every_n_steps=50"),
    *("scheduler=onecycle", "trainer.max_steps=200", "trainer.max_epochs=-1", "checkpoint_seconds=0.2"),
]
LAUNCHERS = {
    "basic": ["hydra/launcher=basic"],
    "local": ["hydra/launcher=local", "hydra.launcher.slots=2"],
    "packed": ["hydra/launcher=packed", "hydra.launcher.slots=2", "hydra.launcher.replicas=4"],
}


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A sweep in a session of its own; what it says goes to out.txt."""
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    with (folder / "out.txt").open("w") as out, (folder / "errors.txt").open("a") as errors:
        # Records hold the folder of the data: one for all, so that they can be compared.
        command = [sys.executable, "-m", "initbench", f"data_dir={folder.parent}", *SWEEP, *arguments]
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=out, stderr=errors, text=True, start_new_session=True
        )


def finish(folder: Path, *arguments: str) -> list[str]:
    """Type the sweep until no run is left that a kill made fail; return its tables."""
    for _ in range(3):
        if (code := start(folder, *arguments).wait(timeout=900)) == 0:
            lines = (folder / "out.txt").read_text().splitlines()
            tables = "\n".join(line for line in lines if line.startswith(("┏", "┃", "│"))).split("┏")
            # The workload of the run that began last comes last, which after a kill is any.
            return sorted(table.strip() for table in tables)
    raise AssertionError(f"exit code {code}: {(folder / 'errors.txt').read_text()[-3000:]}")


def workers(parent: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout
    return [int(pid) for pid in found.split()]


def begun(study: Path, since: float) -> bool:
    """Whether a run has begun, or gone on, since then."""
    return any(path.stat().st_mtime > since for path in study.glob("*/record.json"))


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_twenty_kills_change_no_bit(tmp_path: Path, launcher: str) -> None:
    arguments = LAUNCHERS[launcher]
    tables = finish(tmp_path / "whole", *arguments)
    whole = outcomes(tmp_path / "whole" / "runs" / "main")
    assert len(whole) == RUNS
    records = [json.loads(path.read_text()) for path in (tmp_path / "whole").glob("runs/main/*/record.json")]
    # Those of a run, or of a pack, whose seconds its runs share.
    seconds = sum(record["seconds_train"] * record.get("replicas", 1) for record in records) / RUNS

    chance = random.Random(launcher)
    folder, study = tmp_path / "killed", tmp_path / "killed" / "runs" / "main"
    kills = {"parent": 0, "worker": 0}
    sweep = start(folder, *arguments)
    while sum(kills.values()) < KILLS:
        since = time.time()
        if chance.random() < 0.8:  # amid a run; else amid the imports, more likely than not
            while not begun(study, since) and sweep.poll() is None:
                time.sleep(0.02)
        time.sleep(chance.uniform(0, 1.2 * seconds))
        if sweep.poll() is not None:  # what is left has failed with its worker
            sweep = start(folder, *arguments)
            continue
        # A pack whose worker dies a second time is halved, as for want of memory: other packs, other bits.
        children = workers(sweep.pid) if launcher == "local" else []
        if children and chance.random() < 0.5:
            os.kill(chance.choice(children), signal.SIGKILL)
            kills["worker"] += 1
        else:
            sweep.kill()
            sweep.wait()
            kills["parent"] += 1
            sweep = start(folder, *arguments)
    sweep.wait(timeout=900)
    assert finish(folder, *arguments) == tables
    killed = outcomes(study)
    assert killed == whole
    records = [json.loads(path.read_text()) for path in study.glob("*/record.json")]
    resumed = sum(bool(record["resumed_at"]) for record in records)
    print(f"{launcher}: {kills}, {resumed} runs went on from a checkpoint")
    assert resumed >= 3
    assert kills["worker"] >= 3 or launcher != "local"
    assert not [*study.glob("*/*.ckpt"), *study.glob("*/*.part"), *study.glob(".packs/*")]
