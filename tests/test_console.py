"""What the console writes where there is no terminal."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import in_terminal

FAST = ["logger=none", "model=mlp", "trainer.max_steps=40", "data.val_every_n_steps=20", "trainer.accelerator=cpu"]
# What moves the cursor, hides it, or deletes a line; colours end in m.
ANIMATION = re.compile(rb"\r|\x1b\[[?0-9;]*[A-HJKSTfhlsu]")
IN_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
ASKED = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "CI": "true", "TERM": "xterm-color"}


@pytest.mark.parametrize(
    "sweep", [[], ["-m", "hydra/launcher=local", "hydra.launcher.slots=1", "seed=0,1"]], ids=["alone", "sweep"]
)
def test_where_there_is_no_terminal_nothing_is_redrawn_and_colours_can_be_asked_for(
    sweep: list[str], tmp_path: Path
) -> None:
    for environment, in_colour in ((ASKED, True), ({"TTY_COMPATIBLE": "1"}, False)):
        command = [sys.executable, "-m", "initbench", f"study=s{in_colour}", *FAST, *sweep]
        without = {key: value for key, value in os.environ.items() if key not in ASKED}
        done = subprocess.run(command, cwd=tmp_path, env={**without, **environment}, capture_output=True)
        assert done.returncode == 0, done.stderr
        assert not ANIMATION.search(done.stdout + done.stderr)
        assert bool(IN_COLOUR.search(done.stdout)) == in_colour


def test_in_the_shell_of_a_notebook_nothing_is_redrawn(tmp_path: Path) -> None:
    """`!python -m initbench` gives it a terminal, whose cursor the notebook does not follow."""
    words = [sys.executable, "-m", "initbench", *FAST]
    code, shown = in_terminal(tmp_path, words, {**os.environ, **ASKED, "JPY_PARENT_PID": "1"})
    assert code == 0
    assert b"finished" in shown
    assert not ANIMATION.search(shown.replace(b"\r\n", b"\n"))  # as a terminal writes the end of a line
