"""MLflow as a mirror: runs in a database beside the runs of the study, or on a server. The study is the experiment."""

import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from initbench.file_lock import locked
from initbench.logger import RunInfo
from initbench.logger.mirror import Mirror, cut, identity, reason, say, started
from initbench.logger.writer import Writer
from initbench.schema.ranges import PositiveInt

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

# What MLflow takes, in characters and in entries of a request; one with more is refused as a whole.
_LONGEST_KEY, _LONGEST_PARAM, _LONGEST_TAG, _MOST_PARAMS, _MOST_METRICS = 250, 6000, 5000, 100, 1000
_PATIENCE_S = 60  # that MLflow takes for its tables on a slow disk, several times over
_NOT_IN_A_KEY = re.compile(r"[^\w. /-]", re.ASCII)
_IDENTITY = "initbench.id"  # a tag: MLflow chooses the ids of runs


def mirror(*, tracking_uri: str | None, timeout_s: PositiveInt) -> "Callable[[RunInfo], list[MlflowMirror]]":
    """Starts a run in the experiment of the study, or continues it, and wraps it as a Lightning logger.

    Lightning's MLFlowLogger writes each row while training waits, and ends the run after `fit`.
    """
    if find_spec("mlflow") is None:
        raise ValueError("logger=mlflow needs MLflow: pip install 'initbench[mlflow]'")

    def opening(run: RunInfo) -> "list[MlflowMirror]":
        uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        place = uri or str(run.folder.parent)
        return [MlflowMirror(run, *(started("mlflow", place, lambda: _start(run, uri, timeout_s)) or (None, None)))]

    return opening


class MlflowMirror(Mirror):
    """A run of MLflow, with what `client` knows of it already."""

    service = "mlflow"

    def __init__(self, run: RunInfo, client: "MlflowClient | None", known: "Run | None") -> None:
        super().__init__(run, client)
        self._client = client
        self._id = known.info.run_id if known else ""
        self._last: dict[str, int] = {}  # the last step of each metric: a run that continues repeats some of them
        if run.resumed and known:
            self._attempt(lambda: self._last.update(_last_steps(self.experiment, known)))
        self._writer = Writer(lambda rows: self.experiment.log_batch(self._id, metrics=rows), _MOST_METRICS)

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        self._attempt(lambda: self._log(metrics, self._step if step is None else step))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        self._attempt(lambda: _log_params(self.experiment, self._id, dict(params)))

    def summarize(self, metrics: dict[str, Any]) -> None:
        """Writes the final numbers as metrics at the last step, and the words as tags."""
        numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
        words = {key: value for key, value in metrics.items() if key not in numbers and value is not None}
        self.log_metrics(numbers)
        self._attempt(lambda: _tag(self.experiment, self._id, words))

    def close(self, exit_code: int) -> None:
        """Ends the run, once; a quiet one too, as it would otherwise look as if it were in progress."""
        self._attempt(self._writer.finish)
        self._writer.end()
        client, self._client = self._client, None
        try:
            if client is not None:
                client.set_terminated(self._id, "FINISHED" if exit_code == 0 else "FAILED")
        except Exception as error:  # a mirror that cannot be ended must not end the run
            if self._experiment is not None:
                say(self.service, f"this run is not marked as ended: {reason(error)}")
        self._experiment = None

    @property
    def _step(self) -> int:
        return max(self._last.values(), default=0)

    def _log(self, metrics: Mapping[str, Any], step: int) -> None:
        from mlflow.entities import Metric

        named = {_key(name): float(value) for name, value in metrics.items()}
        new = {key: value for key, value in named.items() if step > self._last.get(key, -1)}
        self._writer.add(Metric(key, value, int(1000 * time.time()), step) for key, value in new.items())
        self._last |= dict.fromkeys(new, step)


def _start(run: RunInfo, uri: str | None, timeout_s: int) -> "tuple[MlflowClient, Run]":
    """A client, and the run that it has started or found."""
    _mute(timeout_s)
    from mlflow import MlflowClient

    if uri is None:
        folder = run.folder.parent.resolve() / "mlflow"
        with _database(folder) as uri:
            client = MlflowClient(uri)
            experiment = _experiment(client, run.study, (folder / "artifacts").as_uri())
    else:
        client = MlflowClient(uri)
        experiment = _experiment(client, run.study)
    if run.resumed:
        same = f"tags.`{_IDENTITY}` = '{identity(run)}'"
        for found in client.search_runs([experiment], same, max_results=1, order_by=["attributes.start_time DESC"]):
            client.update_run(found.info.run_id, status="RUNNING")
            return client, found
    tags = {_IDENTITY: identity(run), **{_key(tag): "" for tag in run.tags if tag}}
    begun = client.create_run(experiment, tags=tags, run_name=cut(run.name, _LONGEST_KEY))
    _log_params(client, begun.info.run_id, run.flat_config)
    return client, begun


@contextmanager
def _database(folder: Path) -> Iterator[str]:
    """The address of the database in this folder, which no other process makes or begins to use meanwhile.

    Raises what keeps it from being written to: MLflow itself would try for minutes.
    """
    from sqlalchemy import URL

    folder.mkdir(exist_ok=True)
    with locked(folder / "lock", patience=_PATIENCE_S) as is_ours:
        if not is_ours:
            raise TimeoutError(f"{folder / 'lock'} has been held by another process for {_PATIENCE_S} s")
        with closing(sqlite3.connect(folder / "mlflow.db", timeout=60)) as database:
            database.execute("BEGIN IMMEDIATE")
        yield URL.create("sqlite", database=str(folder / "mlflow.db")).render_as_string()


def _experiment(client: "MlflowClient", name: str, artifacts: str | None = None) -> str:
    """The id of the experiment, which another process may make at the same time."""
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return found.experiment_id
    try:
        return client.create_experiment(name, artifacts)
    except MlflowException:
        if found := client.get_experiment_by_name(name):
            return found.experiment_id
        raise


def _log_params(client: "MlflowClient", run_id: str, config: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    named = {_key(key): cut(str(value), _LONGEST_PARAM) for key, value in config.items()}
    params = [Param(key, value) for key, value in named.items()]
    for start in range(0, len(params), _MOST_PARAMS):
        client.log_batch(run_id, params=params[start : start + _MOST_PARAMS])


def _tag(client: "MlflowClient", run_id: str, words: Mapping[str, Any]) -> None:
    from mlflow.entities import RunTag

    client.log_batch(run_id, tags=[RunTag(_key(key), cut(str(value), _LONGEST_TAG)) for key, value in words.items()])


def _last_steps(client: "MlflowClient", known: "Run") -> dict[str, int]:
    """The last step that each metric of a run has."""
    run_id = known.info.run_id
    return {key: max(row.step for row in client.get_metric_history(run_id, key)) for key in known.data.metrics}


def _key(name: str) -> str:
    """A name with the letters that MLflow takes."""
    return cut(_NOT_IN_A_KEY.sub("_", name), _LONGEST_KEY)


def _mute(timeout_s: int) -> None:
    """Keep MLflow from talking: to its makers, for minutes to a server that is not there, and in the terminal."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(timeout_s))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    import mlflow  # noqa: F401 - sets up its loggers

    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
