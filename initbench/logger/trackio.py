"""Trackio as a mirror: runs in its database on this machine, or on a server. The study is the project.

Rows go to Trackio's storage directly. Its `init` would print, ask Hugging Face for the user's name, and end the run
that was begun before.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from datetime import UTC, datetime
from importlib.util import find_spec
from io import StringIO
from typing import Any

from initbench.logger import RunInfo
from initbench.logger.mirror import Mirror, identity, started
from initbench.logger.writer import Writer
from initbench.schema.ranges import PositiveInt

Write = Callable[[list[dict[str, Any]]], object]
_MOST_ROWS = 1000


def mirror(*, server_url: str | None, timeout_s: PositiveInt) -> "Callable[[RunInfo], list[TrackioMirror]]":
    """Starts a run in the project of the study, or continues it, and wraps it as a Lightning logger.

    Raises ValueError for a server without a token.
    """
    if find_spec("trackio") is None:
        raise ValueError("logger=trackio needs Trackio: pip install 'initbench[trackio]'")
    url = server_url or os.environ.get("TRACKIO_SERVER_URL")
    if url and "write_token=" not in url and "TRACKIO_WRITE_TOKEN" not in os.environ:
        raise ValueError("logger.server_url must end in ?write_token=…, as `trackio show` prints it")

    def opening(run: RunInfo) -> list[TrackioMirror]:
        write = started("trackio", url or run.study, lambda: _server(url, timeout_s) if url else _database(run.study))
        return [TrackioMirror(run, write)]

    return opening


class TrackioMirror(Mirror):
    """A run of Trackio, whose rows are handed to `write`."""

    service = "trackio"

    def __init__(self, run: RunInfo, write: Write | None) -> None:
        super().__init__(run, write)
        self._row = {"project": run.study, "run": run.name, "run_id": identity(run)}
        self._config: dict[str, Any] = {**run.flat_config, "tags": run.tags, "status": "running"}
        self._sent: dict[str, Any] = {}
        self._last = 0
        self._writer = Writer(write or (lambda rows: None), _MOST_ROWS)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        at = self._last if step is None else step
        self._last = max(self._last, at)
        self._attempt(lambda: self._add({key: float(value) for key, value in metrics.items()}, at))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._config |= dict(params)

    def summarize(self, metrics: dict[str, Any]) -> None:
        """Writes the final numbers as a row at the last step; the words are added to the config."""
        numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
        self._config |= {key: value for key, value in metrics.items() if key not in numbers and value is not None}
        self.log_metrics(numbers)

    def close(self, exit_code: int) -> None:
        """Ends the run, once. Trackio has no word for that: it is a row with the exit code, and the status."""
        if exit_code != 0 or self._config["status"] == "running":
            self._config["status"] = "finished" if exit_code == 0 else "failed"
        self.log_metrics({"exit_code": exit_code})
        self._attempt(self._writer.finish)
        self._writer.end()
        self._experiment = None

    def _add(self, metrics: dict[str, float], step: int) -> None:
        # A run that continues repeats some of its rows, and Trackio ignores a row whose log_id it has. The first key
        # tells rows of one step apart; another one may be missing, as the norm of a gradient from before a kill is.
        same = f"{self._row['run_id']} {step} {min(metrics, default='')}"
        row = {**self._row, "step": step, "metrics": metrics, "log_id": hashlib.sha256(same.encode()).hexdigest()}
        row["config"] = None if self._sent == self._config else dict(self._config)
        self._sent = dict(self._config)
        self._writer.add([row])


def _database(project: str) -> Write:
    """What writes to Trackio's own database, or beside it on a network file system, where SQLite is not safe."""
    from trackio.fragments import FragmentWriter, metric_record
    from trackio.sqlite_storage import SQLiteStorage
    from trackio.utils import get_storage_mode

    with redirect_stdout(StringIO()):
        mode = get_storage_mode()
    if mode == "jsonl":
        beside = FragmentWriter()

        def write(rows: list[dict[str, Any]]) -> None:
            now = datetime.now(UTC).isoformat()
            beside.write_local([{**metric_record(row), "timestamp": now} for row in rows])

        return write
    SQLiteStorage.validate_project_name(project)
    SQLiteStorage.init_db(project)
    return lambda rows: SQLiteStorage.bulk_log(
        project,
        rows[0]["run"],
        metrics_list=[row["metrics"] for row in rows],
        steps=[row["step"] for row in rows],
        log_ids=[row["log_id"] for row in rows],
        config=_config(rows),
        run_id=rows[0]["run_id"],
    )


def _server(url: str, timeout_s: int) -> Write:
    """What sends rows to a server."""
    from trackio.remote_client import RemoteClient

    token = os.environ.get("TRACKIO_WRITE_TOKEN")
    client = RemoteClient(url, write_token=token, httpx_kwargs={"timeout": timeout_s})

    def write(rows: list[dict[str, Any]]) -> None:
        latest = _config(rows)  # a server takes the first
        client.predict(api_name="/bulk_log", logs=[{**row, "config": latest} for row in rows], hf_token=None)

    return write


def _config(rows: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The latest config among rows."""
    return next((row["config"] for row in reversed(rows) if row["config"]), None)
