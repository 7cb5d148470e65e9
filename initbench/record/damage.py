"""What cannot be read: a damaged file is named once, with its remedy, and stops nothing else.

Readers pass a damaged record over. A run that begins sets it aside, as `record.json.damaged`, and starts anew. A record
of a newer schema is neither read nor touched.
"""

import errno
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

from initbench.console import warn
from initbench.errors import LeftAlone
from initbench.metric import ACCURACY
from initbench.record.metric import check_metric

SCHEMA = 1  # of record.json and study.lock

_GROUPS = ("init", "model", "data", "optimizer")
_NAMES = ("study", "status", "name", "init", "setting", "signature")
_TEXTS = ("reason", "device", "sweep")
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
_MEASURED = ("val/", "val/best_", "test/")  # before the name of the metric
_NESTING = (dict, list)
_DEEPEST = 64  # our own are nested six deep; several functions that read them recurse

Parameters = ParamSpec("Parameters")
Content = TypeVar("Content")


class Damaged(ValueError):  # noqa: N818 - of a file, which is no error of the program
    """A file that cannot be read. The message, one line, names it, the reason and the remedy."""

    def __init__(self, path: Path, reason: object, remedy: str) -> None:
        words = reason.strerror if isinstance(reason, OSError) and reason.strerror else f"{reason}"
        super().__init__(f"{path} cannot be read ({' '.join(words.split())}): {remedy}")


class NewerRecord(Damaged, LeftAlone):
    """A record that a later initbench wrote."""


class _NewerSchemaError(ValueError):
    """What `check_record` raises first: nothing is known about the rest."""


def readable(
    read: Callable[Parameters, Content | None], *arguments: Parameters.args, **keys: Parameters.kwargs
) -> Content | None:
    """What `read` returns; where it raises Damaged, one line on stderr, the first time, and None."""
    try:
        return read(*arguments, **keys)
    except Damaged as damaged:
        tell(damaged)
        return None


def tell(problem: Exception) -> None:
    """One line on stderr, once in a process."""
    warn(str(problem))


def check_file(path: Path) -> None:
    """Raise OSError for a FIFO, a socket or a device, as opening it might never return."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "it is no file")


def discard(path: Path) -> None:
    """Delete a file, if it is there; what else is in its place is set aside."""
    if path.is_file() or path.is_symlink():
        path.unlink(missing_ok=True)
    elif path.exists():
        set_aside(path)


def set_aside(path: Path) -> Path:
    """Rename a file or folder to `<name>.damaged`, numbered where that is taken; return where it is now."""
    aside, number = path.with_name(f"{path.name}.damaged"), 1
    while aside.exists() or aside.is_symlink():
        number += 1
        aside = path.with_name(f"{path.name}.damaged.{number}")
    return path.rename(aside)


def read_json(path: Path, check: Callable[[Any], None], remedy: str) -> Any:
    """What is in a file of ours, None where there is none.

    check: raises ValueError where that is not what belongs there. Raises Damaged for this, and for what is no JSON.
    """
    try:
        check_file(path)
        content = path.read_bytes()
        value = json.loads(content, parse_constant=_refuse_constant)
        if b"\\ud" in content or b"\\uD" in content:  # half of a surrogate pair is no text
            json.dumps(value, ensure_ascii=False).encode()
        check(value)
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise Damaged(path, "it links to nothing", remedy) from error
        return None
    except RecursionError as error:
        raise Damaged(path, "nested too deeply", remedy) from error
    except _NewerSchemaError as error:
        raise NewerRecord(path, error, "upgrade initbench, or choose another study=") from error
    except (OSError, ValueError) as error:
        raise Damaged(path, error, remedy) from error
    return value


def _refuse_constant(token: str) -> NoReturn:
    raise ValueError(f"{token} is no JSON")


def check_schema(schema: object) -> None:
    """Raise ValueError for another schema than ours; `read_json` makes NewerRecord of a newer one."""
    if type(schema) is not int:
        raise wrong("schema", schema, "a whole number")
    if schema > SCHEMA:
        raise _NewerSchemaError(f"its schema {_short(schema)} is newer than {SCHEMA}, which this initbench knows")
    if schema < SCHEMA:
        raise wrong("schema", schema, str(SCHEMA))


def check_record(record: Any) -> None:
    """Raise ValueError, which names the key, for a part that is missing, of another type, or out of range."""
    record = mapping(record, "it")
    check_schema(record.get("schema"))
    is_huge = _has_huge_number(record)
    config = mapping(record.get("config"), "config")
    for group in (*_GROUPS, "trainer"):
        mapping(config.get(group), f"config.{group}")
    for key in ("seed", "scheduler", *(f"{group}.name" for group in _GROUPS)):
        group, _, name = key.rpartition(".")
        if name not in (config[group] if group else config):
            raise ValueError(f"config.{key} is missing")
    for key in _NAMES:
        if not isinstance(record.get(key), str):
            raise wrong(key, record.get(key), "text")
    _check_texts(record, config)
    _check_numbers(record)
    tuning = mapping(config.get("tuning") or {}, "config.tuning")
    for seed in _list(tuning.get("seeds", []), "config.tuning.seeds"):
        if isinstance(seed, list | dict):
            raise wrong("config.tuning.seeds", tuning["seeds"], "a list of numbers")
    # In a run that was refused these may be anything, except numbers that nothing can compute with.
    chosen = {f"config.{group}.name": config[group]["name"] for group in _GROUPS}
    chosen |= {"config.optimizer.lr": config["optimizer"].get("lr"), "seed": record.get("seed")}
    for key, value in chosen.items():
        if isinstance(value, int | float) and not (isinstance(value, bool) or _is_finite(value)):
            raise wrong(key, value, "a finite number")
    if record["status"] != "refused" and not _is_finite(record.get("seed")):
        raise wrong("seed", record.get("seed"), "a finite number")
    if is_huge:  # which pandas before 3.1 does not take in any column
        raise ValueError("a number in it is larger than a float can be")


def _check_texts(record: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    provenance = mapping(record.get("provenance", {}), "provenance")
    texts = {key: record.get(key) for key in (*_TEXTS, *_DATES)}
    texts |= {
        f"config.source.{key}": digest for key, digest in mapping(config.get("source", {}), "config.source").items()
    }
    texts |= {f"provenance.{key}": provenance.get(key) for key in ("hostname", "processor", "command")}
    texts["provenance.git.commit"] = mapping(provenance.get("git") or {}, "provenance.git").get("commit")
    texts["provenance.versions.torch"] = mapping(provenance.get("versions", {}), "provenance.versions").get("torch")
    for key, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise wrong(key, value, "text")
    if not isinstance(command := config.get("command", ""), str):
        raise wrong("config.command", command, "text")
    for date in (*(record.get(key) for key in _DATES), *_list(record.get("resumed_at", []), "resumed_at")):
        try:
            if date is not None:
                datetime.fromisoformat(date).timestamp()
        except (TypeError, OverflowError) as error:
            raise ValueError(f"{_short(date)} is not a date") from error


def _check_numbers(record: Mapping[str, Any]) -> None:
    counts = {key: record.get(key) for key in _NUMBERS}  # 0 or more
    results = mapping(record.get("results", {}), "results")
    for key in ("ln_classes", "chance_loss"):
        counts[f"results.{key}"] = results.get(key)
    check_metric(metric := mapping(record.get("metric", asdict(ACCURACY)), "metric"))
    shares = {f"{part}{metric['name']}" for part in _MEASURED} if metric["is_share"] else set()
    for target, time in mapping(record.get("targets", {}), "targets").items():
        if not {"reached", "steps", "seconds"} <= mapping(time, f"targets.{target}").keys():
            raise wrong(f"targets.{target}", time, "reached, steps and seconds")
        counts |= {f"targets.{target}.{clock}": time[clock] for clock in ("steps", "seconds")}
        counts[f"targets.{target}"] = float(target)
    for key, value in {**counts, **{f"results.{key}": value for key, value in results.items()}}.items():
        if value is not None and not _is_finite(value):
            raise wrong(key, value, "a finite number")
        if key in counts and value is not None and value < 0:
            raise wrong(key, value, "0 or more")
        if key.removeprefix("results.") in shares and value is not None and not 0 <= value <= 1:
            raise wrong(key, value, "a share of 0 to 1")


def mapping(value: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):  # to ask for a Mapping is slow, and records are many
        raise wrong(key, value, "a mapping")
    return value


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise wrong(key, value, "a list")
    return value


def _has_huge_number(value: Any) -> bool:
    """Whether an integer in it has no float. Raises ValueError if it is nested too deeply."""
    level, is_huge = [value], False
    for _ in range(_DEEPEST):
        children = [child for part in level for child in (part.values() if type(part) is dict else part)]
        is_huge = is_huge or any(type(child) is int and child.bit_length() >= 1024 for child in children)
        level = [child for child in children if type(child) in _NESTING]
        if not level:
            return is_huge
    raise ValueError("nested too deeply")


def _is_finite(value: Any) -> bool:
    try:
        return not isinstance(value, bool | str) and math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def wrong(key: str, value: Any, wanted: str) -> ValueError:
    return ValueError(f"{key} is {_short(value)}, not {wanted}")


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
