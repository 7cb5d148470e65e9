"""A record as the few facts that are shown of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from initbench.record.signature import shared


@dataclass(frozen=True, slots=True)
class Run:
    """Times are in seconds since the epoch, but for `written`."""

    folder: str  # its name under the study: `<name>-<signature>`
    name: str
    init: str
    setting: str
    title: str  # the setting, for people
    shared: Mapping[str, Any]  # the config of the setting
    kind: str  # model and data as folders begin with them: how long a run takes depends mostly on these
    status: str
    begun: tuple[Any, ...]  # differs for each time that somebody started or continued this run
    since: float | None  # when that was
    host: str | None
    seconds: float | None  # how long it took, if it is complete
    seconds_train: float | None
    step: float | None
    total_steps: float | None
    best: float | None  # validation accuracy
    test: float | None  # accuracy
    lr: float | None  # where it was chosen for this run, as the name does not tell it
    reason: str | None  # the first line
    written: int  # when the record was, in ns


def from_record(record: Mapping[str, Any], folder: str, written: int) -> Run:
    config, results = record["config"], record.get("results", {})
    model, data, optimizer = (config[group]["name"] for group in ("model", "data", "optimizer"))
    rate = config["optimizer"].get("lr")
    started, finished = _epoch(record.get("started_at")), _epoch(record.get("finished_at"))
    resumed = record.get("resumed_at", [])
    seconds = _number(record.get("seconds_train"))
    if started is not None and finished is not None and not resumed:
        seconds = finished - started  # one that was interrupted may have lain for days
    return Run(
        folder=folder,
        name=str(record["name"]),
        init=str(record["init"]),
        setting=str(record["setting"]),
        title=f"{model} on {data}, {optimizer}" + ("" if rate is None else f" lr {rate}"),
        shared=shared(config),
        kind=f"{model}-{data}-",
        status=str(record["status"]),
        begun=(record.get("attempt"), record.get("started_at"), len(resumed)),
        since=_epoch(resumed[-1]) if resumed else started,
        host=record.get("provenance", {}).get("hostname"),
        seconds=seconds,
        seconds_train=_number(record.get("seconds_train")),
        step=_number(record.get("steps")),
        total_steps=_number(record.get("total_steps")),
        best=_number(results.get("val/best_accuracy")),
        test=_number(results.get("test/accuracy")),
        lr=chosen_lr(config),
        reason=str(record["reason"]).partition("\n")[0] if record.get("reason") else None,
        written=written,
    )


def chosen_lr(config: Mapping[str, Any]) -> float | None:
    """The learning rate of a run whose command sets it, as in a grid or in tuning; None of other runs."""
    rate = config["optimizer"].get("lr")
    return rate if "optimizer.lr=" in config.get("command", "") and isinstance(rate, int | float) else None


def _epoch(time: str | None) -> float | None:
    return None if time is None else datetime.fromisoformat(time).timestamp()


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
