"""Runs to log, and services that know no key, no home and no server but this machine."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow_fixtures import mlflow_alone, mlflow_database
from trackio_fixtures import trackio_alone
from wandb_api import Api
from wandb_fixtures import closed_port, server
from wandb_fixtures import wandb_alone as alone

from initbench.logger import RunInfo

__all__ = [
    "alone",
    "api",
    "closed_port",
    "make_run",
    "mlflow_alone",
    "mlflow_database",
    "server",
    "trackio_alone",
    "wandb_alone",
]


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
def wandb_alone(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """wandb on this machine only, for a process that has not learned yet that its server cannot be reached."""
    from initbench.logger.wandb import _Process

    monkeypatch.setattr(_Process, "unreachable", False)
    monkeypatch.setattr(_Process, "told", False)


@pytest.fixture
def api(server: Api) -> Api:
    """A server that takes runs, and a key for it."""
    return server
