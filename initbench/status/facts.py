"""The few facts of a record that status shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from initbench.metric import Metric
from initbench.record.metric import metric_of
from initbench.record.naming import title
from initbench.record.signature import shared
from initbench.wording import visible


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
    shared: Mapping[str, Any]  # the config of the setting
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


def from_record(record: Mapping[str, Any], folder: str, written: int = 0) -> RunFacts:
    """The facts of a record, which `read_record` has checked or this process has written."""
    config, results = record["config"], record.get("results", {})
    model, data, optimizer = (config[group]["name"] for group in ("model", "data", "optimizer"))
    rate, metric = config["optimizer"].get("lr"), metric_of(record)
    started, finished = _epoch(record.get("started_at")), _epoch(record.get("finished_at"))
    resumed = record.get("resumed_at", [])
    seconds = _number(record.get("seconds_train"))
    if started is not None and finished is not None and not resumed:
        seconds = finished - started  # an interrupted run may have been paused for days
    return RunFacts(
        folder=folder,
        name=visible(str(record["name"])),
        init=visible(str(record["init"])),
        init_source=config.get("source", {}).get("init"),
        setting=str(record["setting"]),
        title=visible(title(model, data, optimizer) + ("" if rate is None else f" lr {rate}")),
        shared=shared(config),
        kind=f"{model}-{data}-",
        status=visible(str(record["status"])),
        sweep=record.get("sweep"),
        begun=(record.get("attempt"), record.get("started_at"), len(resumed)),
        since=_epoch(resumed[-1]) if resumed else started,
        host=visible(record.get("provenance", {}).get("hostname") or "") or None,
        seconds=seconds,
        seconds_train=_number(record.get("seconds_train")),
        step=_number(record.get("steps")),
        total_steps=_number(record.get("total_steps")),
        metric=metric,
        best=None if metric is None else _number(results.get(f"val/best_{metric.name}")),
        test=None if metric is None else _number(results.get(f"test/{metric.name}")),
        lr=chosen_lr(config),
        reason=visible(str(record["reason"]).partition("\n")[0]) if record.get("reason") else None,
        written=written,
    )


def chosen_lr(config: Mapping[str, Any]) -> float | None:
    """The learning rate of a run whose command sets it, as in a grid or in tuning; None for other runs."""
    rate = config["optimizer"].get("lr")
    return rate if "optimizer.lr=" in config.get("command", "") and isinstance(rate, int | float) else None


def _epoch(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
