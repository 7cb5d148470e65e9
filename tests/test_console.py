"""What the console writes where there is no terminal, and how it writes numbers and names."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import in_terminal

from initbench.wording import count, visible

FAST = ["logger=none", "model=mlp", "trainer.max_steps=40", "data.val_every_n_steps=20", "trainer.accelerator=cpu"]
# What moves the cursor, hides it, or deletes a line; colours end in m.
ANIMATION = re.compile(rb"\r|\x1b\[[?0-9;]*[A-HJKSTfhlsu]")
IN_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
ASKED = {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "CI": "true", "TERM": "xterm-color"}


@pytest.mark.parametrize("sweep", [[], ["-m", "hydra/launcher=local", "seed=0,1"]], ids=["alone", "sweep"])
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


@pytest.mark.parametrize(
    "text, shown",
    [
        ("plain (gain=2), über 中 👩‍💻", "plain (gain=2), über 中 👩‍💻"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("two\nlines\r\tand a tab", "two\\nlines\\r\\tand a tab"),
        ("\u202eback\u2066\u200f", "\\u202eback\\u2066\\u200f"),
        ("\x9b31m\u2028\ud800", "\\x9b31m\\u2028\\ud800"),
        ("[red]x[/]", "[red]x[/]"),
    ],
)
def test_what_controls_a_terminal_is_seen_and_not_obeyed(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_one_is_singular() -> None:
    assert [count(number, "run") for number in (0, 1, 2)] == ["0 runs", "1 run", "2 runs"]
    assert [count(number, "copy", "copies") for number in (1, 2)] == ["1 copy", "2 copies"]
