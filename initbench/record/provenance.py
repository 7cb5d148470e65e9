"""Where numbers come from: versions, commit, hardware, command."""

import os
import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from initbench.masking import hide_all
from initbench.record.plain import Record
from initbench.workers.cores import cores

_PACKAGES = ("initbench", "torch", "torchvision", "lightning", "hydra-core", "numpy", "timm", "transformers", "wandb")


def provenance() -> Record:
    """Everything about this process that a reader may need to repeat its numbers."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        **_machine(),
        "accelerators": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
        "threads": torch.get_num_threads(),
        "command": shlex.join(hide_all([Path(sys.executable).name, *sys.orig_argv[1:]])),
        "pid": os.getpid(),
    }


@cache
def _machine() -> Record:
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "git": _git(),
        "hostname": platform.node(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # timm and transformers are optional
    return found


def _git() -> Record | None:
    """Commit of the working directory, where the user's own code lies; None outside a repository."""
    try:
        commit = _run("git", "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_run("git", "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _run(*command: str) -> str:
    return subprocess.run(
        command, capture_output=True, encoding="utf-8", errors="replace", check=True, timeout=5
    ).stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return platform.processor()  # not Linux
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
