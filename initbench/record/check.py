"""Whether something read from a file is the record of a run, as damaged or foreign files may be anything."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_GROUPS = ("init", "model", "data", "optimizer")
_NAMES = ("study", "status", "init", "setting", "signature")
_TEXTS = ("reason", "device")
_DATES = ("started_at", "finished_at")
_NUMBERS = (
    "total_steps",
    "steps",
    "replicas",
    "seconds_init",
    "seconds_train",
    "seconds_compile",
    "seconds_diagnostics",
)
_SHARES = ("val/accuracy", "test/accuracy")


def check(record: Any) -> None:
    """Raise ValueError, which names the key, where a part that is read later is missing or of another type."""
    record = _mapping(record, "it")
    config = _mapping(record.get("config"), "config")
    for group in _GROUPS:
        _mapping(config.get(group), f"config.{group}")
    for key in _NAMES:
        if not isinstance(record.get(key), str):
            raise _wrong(key, record.get(key), "text")
    provenance = _mapping(record.get("provenance", {}), "provenance")
    texts = {key: record.get(key) for key in (*_TEXTS, *_DATES)}
    texts |= {
        f"config.source.{key}": digest for key, digest in _mapping(config.get("source", {}), "config.source").items()
    }
    texts |= {f"provenance.{key}": provenance.get(key) for key in ("hostname", "processor", "command")}
    texts["provenance.git.commit"] = _mapping(provenance.get("git") or {}, "provenance.git").get("commit")
    texts["provenance.versions.torch"] = _mapping(provenance.get("versions", {}), "provenance.versions").get("torch")
    for key, value in texts.items():
        if not isinstance(value, str | None):
            raise _wrong(key, value, "text")
    for key in _DATES:
        if record.get(key) is not None:
            datetime.fromisoformat(record[key])
    numbers = {key: record.get(key) for key in _NUMBERS}
    numbers |= {f"results.{key}": value for key, value in _mapping(record.get("results", {}), "results").items()}
    for target, time in _mapping(record.get("targets", {}), "targets").items():
        numbers |= {
            f"targets.{target}.{clock}": _mapping(time, f"targets.{target}")[clock] for clock in ("steps", "seconds")
        }
        numbers[f"targets.{target}"] = float(target)
    for key, value in numbers.items():
        if value is not None and not _is_finite(value):
            raise _wrong(key, value, "a finite number")
        if key.removeprefix("results.") in _SHARES and value is not None and not 0 <= value <= 1:
            raise _wrong(key, value, "a share of 0 to 1")
    # In a run that was refused these may be anything, except numbers that nothing can compute with.
    chosen = {f"config.{group}.name": config[group].get("name") for group in _GROUPS}
    chosen |= {"config.optimizer.lr": config["optimizer"].get("lr"), "seed": record.get("seed")}
    for key, value in chosen.items():
        if isinstance(value, int | float) and not (isinstance(value, bool) or _is_finite(value)):
            raise _wrong(key, value, "a finite number")


def _mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(key, value, "a mapping")
    return value


def _is_finite(value: Any) -> bool:
    try:
        return not isinstance(value, bool | str) and math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def _wrong(key: str, value: Any, wanted: str) -> ValueError:
    shown = repr(value)
    return ValueError(f"{key} is {shown if len(shown) <= 60 else f'{shown[:60]}...'}, not {wanted}")
