"""Where numbers come from."""

import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

import initbench.record.provenance as module
from initbench.record.provenance import provenance
from initbench.workers.cores import cores


def test_versions_hardware_and_process() -> None:
    found = provenance()
    assert found["versions"]["torch"] == torch.__version__.split("+")[0]
    assert found["versions"]["initbench"]
    assert found["threads"] == torch.get_num_threads()
    assert found["pid"] == os.getpid()


def test_the_command_is_what_was_typed() -> None:
    code = "from initbench.record.provenance import provenance; print(provenance()['command'])"
    typed = ["-W", "ignore", "-c", code, "init=a b", "-m"]
    found = subprocess.run([sys.executable, *typed], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == shlex.join([Path(sys.executable).name, *typed])


def test_of_each_package_that_is_there_the_version_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of those that come after one that is not installed."""
    there = {"initbench": "1", "torch": "2", "numpy": "3", "wandb": "4"}

    def found(package: str) -> str:
        if package not in there:
            raise PackageNotFoundError(package)
        return there[package]

    monkeypatch.setattr(module, "version", found)
    assert module._versions() == there


def test_the_machine_and_the_commit_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})  # one of the machine's
    module._machine.cache_clear()
    found = provenance()
    module._machine.cache_clear()
    assert found["hostname"] == platform.node()
    assert found["platform"] == platform.platform()
    assert found["versions"]["python"] == platform.python_version()
    assert found["cores"] == cores() == 1
    assert bool(found["accelerators"]) is torch.cuda.is_available()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run([*git, "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "a.py").write_text("1")
    subprocess.run([*git, "-C", str(tmp_path), "add", "a.py"], check=True)
    subprocess.run([*git, "-C", str(tmp_path), "commit", "-q", "-m", "first"], check=True)
    head = subprocess.check_output([*git, "-C", str(tmp_path), "rev-parse", "HEAD"], text=True).strip()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "untracked.py").write_text("2")
    assert module._git() == {"commit": head, "dirty": False}
    (tmp_path / "a.py").write_text("3")
    assert module._git() == {"commit": head, "dirty": True}


def test_outside_of_a_repository_or_without_git_there_is_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert module._git() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert module._git() is None


def test_the_processor_is_what_the_kernel_calls_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "processor\t: 0\nmodel name\t: Fast: CPU @ 3GHz\nprocessor\t: 1\nmodel name\t: other\n"
    monkeypatch.setattr(Path, "read_text", lambda path, *_: lines)
    assert module._processor() == "Fast: CPU @ 3GHz"
    monkeypatch.setattr(Path, "read_text", lambda path, *_: "processor\t: 0\n")
    assert module._processor() == ""


def test_a_secret_that_was_typed_is_masked_in_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "orig_argv", ["/usr/bin/python", "-m", "initbench", "logger.api_key=abcdef123456", "a=b c"]
    )
    command = provenance()["command"]
    assert "abcdef123456" not in command
    assert shlex.split(command)[1:] == ["-m", "initbench", "logger.api_key=***", "a=b c"]
