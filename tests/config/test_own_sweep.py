"""A sweep that another command runs as a process of its own."""

import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from initbench.config.own_sweep import sweep


@pytest.fixture
def stands_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that is run in the place of Python, to end as a sweep may; it notes what it was given."""
    script = tmp_path / "sweep.sh"
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.chdir(tmp_path)
    return script


def write(script: Path, *lines: str) -> None:
    script.write_text("\n".join(["#!/bin/sh", 'echo "$@" > given', *lines]))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize(
    "end, code", [("exit 0", 0), ("exit 1", 1), ("exit 130", 130), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
)
def test_it_ends_as_a_shell_would_say(stands_in: Path, end: str, code: int) -> None:
    write(stands_in, end)
    assert sweep(["init=zeros", "seed=range(3)"]) == code
    assert Path("given").read_text() == "-m initbench -m init=zeros seed=range(3)\n"


@pytest.fixture
def deaf() -> Iterator[list[Any]]:
    """The handlers of this process, which take no notice: a signal may come before the sweep's own are in place."""
    numbers = signal.SIGINT, signal.SIGTERM
    before = [signal.signal(number, lambda *_: None) for number in numbers]
    yield [signal.getsignal(number) for number in numbers]
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_sigterm_is_passed_on_and_ctrl_c_left_to_the_sweep_which_is_waited_for(
    stands_in: Path, deaf: list[Any]
) -> None:
    """Ctrl-C reaches both of them from the terminal; the one that trains saves its runs first."""
    write(stands_in, "trap 'exit 7' TERM", "while :; do kill -INT $PPID; kill -TERM $PPID; sleep 0.05; done")
    assert sweep([]) == 7
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == deaf
