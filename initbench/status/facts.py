"""The few facts of a run that status shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from initbench.metric import Metric
from initbench.record.flat import flat
from initbench.record.naming import title
from initbench.record.plain import Row


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is shown about a run, in texts without control characters; only `folder` is as it is on disk.

    Times are in seconds since the epoch, except `written`.
    """

    folder: str  # its name under the study: `<name>-<signature>`
    name: str
    init: str
    init_source: str | None  # the digest of its file, where the initializer is the user's own
    setting: str
    title: str  # the setting, for people
    shared: Mapping[str, Any]  # the config of the setting, but for the learning rate, which is in its title
    kind: str  # model and data, with which folder names begin: how long a run takes mostly depends on them
    status: str
    sweep: str | None  # the id of the sweep that wrote the record
    begun: tuple[Any, ...]  # changes each time that the run is started or resumed
    since: float | None  # when that was
    host: str | None
    seconds: float | None  # how long it took, if it is complete
    seconds_train: float | None
    step: float | None
    total_steps: float | None
    metric: Metric | None
    best: float | None  # value of the metric in validation
    test: float | None  # value of the metric
    lr: float | None  # if the command sets it, as the name does not show it
    reason: str | None  # its first line
    written: int  # when the record was written, in ns since the epoch


def from_record(record: Mapping[str, Any], folder: str) -> RunFacts:
    """The facts of a record, which `read_record` has checked or this process has written."""
    return from_row(flat(record), folder)


def from_row(row: Row, folder: str, written: int = 0) -> RunFacts:
    """The same of the flat row of a record."""
    rate, metric, command = row["lr"], row["metric"], row["run_command"] or ""
    started, finished = _epoch(row["started_at"]), _epoch(row["finished_at"])
    seconds = _number(row["seconds_train"])
    if started is not None and finished is not None and not row["resumed"]:
        seconds = finished - started  # an interrupted run may have been paused for days
    return RunFacts(
        folder=folder,
        name=row["name"],
        init=row["init"],
        init_source=row["init_source"],
        setting=row["setting"],
        title=title(row["model"], row["data"], row["optimizer"]) + ("" if rate is None else f" lr {rate}"),
        shared=row["workload_config"],
        kind=f"{row['model']}-{row['data']}-",
        status=row["status"],
        sweep=row["sweep"],
        begun=(row["attempt"], row["started_at"], row["resumed"]),
        since=_epoch(row["resumed_at"]) if row["resumed"] else started,
        host=row["host"] or None,
        seconds=seconds,
        seconds_train=_number(row["seconds_train"]),
        step=_number(row["steps"]),
        total_steps=_number(row["budget"]),
        metric=metric,
        best=None if metric is None else _number(row.get(f"val/best_{metric.name}")),
        test=None if metric is None else _number(row.get(f"test/{metric.name}")),
        lr=rate if "optimizer.lr=" in command and isinstance(rate, int | float) else None,
        reason=row["reason_line"],
        written=written,
    )


def _epoch(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
