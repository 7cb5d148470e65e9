"""A run's folder: `<runs_dir>/<study>/<name>-<signature>/`, written atomically, file by file.

record.json says what was run and what came of it; history.parquet has a row a logged step;
parameters.parquet a row a parameter; layers.parquet, where there are diagnostics, a row a number that they found.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from initbench.errors import Unwritable
from initbench.record.signature import init_label, run_name, setting, signature

SCHEMA = 1
COMPLETE = ("finished", "diverged")  # outcomes that a second start would only repeat


class Store:
    """The folder of one config's run. Nothing is created before the first write."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.signature = signature(config)
        self.name = run_name(config)
        self.folder = Path(config["runs_dir"]) / config["study"] / f"{self.name}-{self.signature}"
        self.checkpoint = self.folder / "checkpoint.ckpt"

    def read(self) -> dict[str, Any] | None:
        """The record as it stands, None where there is none."""
        return read_record(self.folder)

    def write(self, status: str, **parts: Any) -> dict[str, Any]:
        """Write record.json and return it. `status`: running, finished, diverged, refused, interrupted or failed."""
        record = {
            "schema": SCHEMA,
            "status": status,
            "study": self.config["study"],
            "name": self.name,
            "signature": self.signature,
            "setting": setting(self.config),
            "init": init_label(self.config["init"]),
            "seed": self.config["seed"],
            **parts,
            "config": self.config,
        }
        write_record(self.folder, record)
        return record

    def write_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write `<name>.parquet`, a row a mapping; keys that a row lacks are null."""
        # Here and not above: reading a record must not cost the import of pyarrow.
        import pyarrow as pa
        from pyarrow import parquet

        columns = list(dict.fromkeys(key for row in rows for key in row))
        table = pa.table({key: [row.get(key) for row in rows] for key in columns})
        sink = pa.BufferOutputStream()
        parquet.write_table(table, sink)
        atomic_write(self.folder / f"{name}.parquet", sink.getvalue().to_pybytes())


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record in a run's folder, None where there is none."""
    try:
        record: dict[str, Any] = json.loads((folder / "record.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None  # check_writable says what is wrong with the folder, if anything is
    return record


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    text = json.dumps(finite(record), indent=1, allow_nan=False)
    atomic_write(folder / "record.json", text.encode())


def now() -> str:
    """The time, UTC, to the second: as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_writable(runs_dir: str | Path) -> None:
    """Raise ValueError unless folders can be made under `runs_dir`; leaves nothing behind."""
    existing = Path(runs_dir).absolute()
    while not existing.exists():
        existing = existing.parent
    try:
        with NamedTemporaryFile(dir=existing) as file:
            file.write(bytes(4096))  # a full disk still takes names
    except OSError as error:
        raise ValueError(f"runs_dir {str(runs_dir)!r} is not writable: {error.strerror}") from error


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Inside, `path` is written: Unwritable where the disk is full or may not be written."""
    try:
        yield
    except OSError as error:
        safe = "What is recorded already is safe; when this is mended, the same command goes on"
        raise Unwritable(f"{path} cannot be written: {error.strerror}. {safe}") from error


def atomic_write(path: Path, content: bytes) -> None:
    """Replace `path` as a whole, its folder made if need be: a reader, or a crash, never sees a part of it.

    Raises Unwritable where the disk is full or may not be written.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            try:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:  # a signal too must leave no part behind
                Path(file.name).unlink(missing_ok=True)
                raise
        path.chmod(0o644)  # NamedTemporaryFile makes files that only their owner may read


def finite(value: Any) -> Any:
    """The same tree with NaN and infinities as None: JSON has neither."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
