"""An MLflow that knows no server, and a database for it: for conftest.py of the folders that need one."""

import os
import shutil
from pathlib import Path

import pytest

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read as MLflow is imported


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs, which MLflow takes seconds to make."""
    pytest.importorskip("mlflow", reason="needs the extra `mlflow`")
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def mlflow_alone(mlflow_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No MLFLOW_* of the machine reaches the test, and the study of `make_run` has its database already."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    place = tmp_path / "runs" / "depth" / "mlflow"
    place.mkdir(parents=True)
    shutil.copy(mlflow_database, place)
