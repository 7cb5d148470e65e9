"""Runs to log, and a wandb that knows no key, no home and no server but this machine."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wandb
from wandb_api import KEY, Api

from initbench.logger import RunInfo


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunInfo]:
    """A RunInfo in its own folder; keywords replace its fields."""

    def make(signature: str = "1a2b3c", **changes: object) -> RunInfo:
        folder = tmp_path / "runs" / "depth" / f"orthogonal-{signature}"
        folder.mkdir(parents=True, exist_ok=True)
        fields = {
            "folder": folder,
            "study": "depth",
            "name": "orthogonal",
            "tags": ["cpu", "mnist"],
            "config": {"seed": 3, "init": {"name": "orthogonal", "gain": None}, "optimizer": {"lr": 0.1}},
            "signature": signature,
            "attempt": 1,
            "resumed": False,
        }
        return RunInfo(**(fields | changes))  # type: ignore[arg-type]  # the fields are of many types

    return make


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def wandb_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> Iterator[None]:
    """No WANDB_* of the machine reaches the test, and its wandb service ends with it."""
    from initbench.logger.wandb import _Process

    wandb.teardown()
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(home))
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setattr(_Process, "unreachable", False)
    monkeypatch.setattr(_Process, "told", False)
    yield
    wandb.teardown()


@pytest.fixture
def api(wandb_alone: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A server that takes runs, and a key for it."""
    with Api.serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield server
        wandb.teardown()
