"""A wandb that knows no key, no home and no server but this machine: for conftest.py of the folders that need one."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from wandb_server import KEY, Server

from initbench.wandb_client import PATIENCE


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def wandb_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int) -> Iterator[None]:
    """No WANDB_* of the machine reaches the test, and its wandb service, less patient than usual, ends with it."""
    wandb.teardown()
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(home))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(home / "cache"))
    monkeypatch.setenv("WANDB_DIR", str(home))
    monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    monkeypatch.setitem(PATIENCE, "x_graphql_retry_max", 1)
    yield
    wandb.teardown()


@pytest.fixture
def server(wandb_alone: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server that takes runs and workspaces and answers for them, and a key for it."""
    with Server.serving() as serving:
        monkeypatch.setenv("WANDB_BASE_URL", serving.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield serving
        wandb.teardown()
