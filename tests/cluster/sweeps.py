"""Sweeps in processes of their own, and what the tests of all clusters make runs do."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from outcomes import outcomes

ON_CPU = ["logger=none", "trainer.accelerator=cpu", "trainer.threads=1"]
EIGHT_STEPS = ["trainer.max_steps=8", "data.val_every_n_steps=4", "trainer.log_every_n_steps=2"]
SMALL = [*ON_CPU, "model=mlp"]
SHORT = [*SMALL, *EIGHT_STEPS]
LANGUAGE_MODEL = [
    *(*ON_CPU, *EIGHT_STEPS, "task=language_model", "data.size=4000", "data.context_length=16"),
    *("model.depth=1", "model.width=16", "model.heads=2"),
]
# A few seconds of training, of which the first saves a checkpoint.
LONG = [
    *(*SMALL, "trainer.max_steps=400", "trainer.max_epochs=-1", "data.val_every_n_steps=200"),
    *("trainer.log_every_n_steps=50", "checkpoint_seconds=0.5"),
]
RACE = [*SHORT, "init=orthogonal,default,zeros", "until=sure", "race.most_seeds=8"]

# Initializers of the user's own, that do something in the first layer: before training others are tried as well.
DEEDS = """
import os, signal, sys, time
from torch import nn

class Unpicklable(Exception):
    def __init__(self):
        super().__init__("cannot be pickled")
        self.generator = (number for number in [])

def act(tensor, deed):
    if deed == "kill_at_once":
        os.kill(os.getpid(), signal.SIGKILL)
    if tensor.shape[1] == 784:
        if deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "exit":
            sys.exit(3)
        if deed == "raise":
            raise Unpicklable
    nn.init.eye_(tensor)

def note(tensor):
    if tensor.shape[1] == 784:
        facts = [os.getpid(), os.getppid(), os.environ["CUDA_VISIBLE_DEVICES"], os.environ["WANDB_NOTES"]]
        with open("notes.txt", "a") as notes:
            notes.write(" ".join(map(str, facts)) + "\\n")
        time.sleep(0.5)
    nn.init.eye_(tensor)
"""


class Sweep:
    """One in a process of its own, started in `folder`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.study = folder / "runs" / "main"
        self._log = folder / "log.txt"
        own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder), "COLUMNS": "120", "WANDB_MODE": "offline"}
        # Records hold the folder of the data; it is one for all, so that they can be compared.
        command = [sys.executable, "-m", "initbench", "-m", f"data_dir={folder.parent}", *arguments]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT
            )

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
        return " ".join(re.findall(r"SLURM jobs, ([\d ]+); logs", self.text)).split()

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


@contextmanager
def sweeps(folder: Path, *engine: str) -> Iterator[Callable[..., Sweep]]:
    """A function that starts a sweep on this engine in `folder`; what is left of it at the end is killed."""
    folder.mkdir()
    (folder / "deeds.py").write_text(DEEDS)
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(Sweep(folder, *engine, *arguments))


def is_raced_as_on_this_machine(ended: Sweep, elsewhere: Path) -> bool:
    """Whether a sweep of RACE has the decisions and the scores of the same race on the local launcher."""
    with Sweep(elsewhere, "hydra/launcher=local", *RACE) as local:
        assert local.end() == 0, local.text
    plans = [json.loads((sweep.study / ".sweep" / "plan.json").read_text())["race"] for sweep in (ended, local)]
    said = [
        re.findall(r"^(race: .*|Use .*|The race between .*)$", sweep.text, re.MULTILINE) for sweep in (ended, local)
    ]
    assert plans[0][0]["is_over"]
    assert len(said[0]) > 1
    return plans[0] == plans[1] and said[0] == said[1] and outcomes(ended.study) == outcomes(local.study)
