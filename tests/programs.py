"""The programs as people type them, in processes of their own: piped, or in a terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import forking

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
FAST = ["logger=none", "model=mlp", "trainer.max_steps=4", "data.val_every_n_steps=2", "trainer.accelerator=cpu"]


def command(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m initbench ARGUMENTS` in a folder."""
    return run(folder, [sys.executable, "-m", "initbench", *arguments], **environment)


def run(folder: Path, words: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """The words as a command in a folder. Modules are run in a fork, which imports less: see forking.py."""
    folders = environment.get("PYTHONPATH", "").split(os.pathsep)
    customizes = any(Path(of, "sitecustomize.py").exists() for of in folders)  # which is imported as Python starts
    if words[:2] == [sys.executable, "-m"] and not customizes:
        return forking.run(folder, words, {**ENVIRONMENT, **environment})
    return subprocess.run(
        words,
        cwd=folder,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def in_terminal(folder: Path, words: list[str], environment: Mapping[str, str]) -> tuple[int, bytes]:
    """The exit code of a command, and what it shows in a terminal of its own."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(words, cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
    os.close(ours)
    return process.returncode, shown
