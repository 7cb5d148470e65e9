"""A run's folder: `<runs_dir>/<study>/<name>-<signature>/`, written atomically, file by file.

record.json says what was run and what came of it; history.parquet has a row a logged step;
parameters.parquet a row a parameter; test_samples.parquet a row a test sample (see samples.py); layers.parquet, where
there are diagnostics, a row a number that they found.
"""

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from initbench.errors import LeftAlone, Unwritable, UserMistake
from initbench.masking import masked
from initbench.record.damage import (
    SCHEMA,
    Damaged,
    NewerRecord,
    check_file,
    check_record,
    read_json,
    readable,
    set_aside,
    tell,
)
from initbench.record.lock import check_lock, check_locks
from initbench.record.plain import PlainConfig, Record
from initbench.record.signature import init_label, run_name, setting, signature

if TYPE_CHECKING:
    from initbench.schema.config import Config

COMPLETE = ("finished", "diverged")  # outcomes that a second start would only repeat
TABLE_REMEDY = "the record of the run stands; delete the run's folder, and the same sweep makes both again"
# How file systems refuse fsync that have none, or not for everybody; what was written is as safe as they make it.
_NO_FSYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM)


class Store:
    """The folder of one config's run. Nothing is created before the first write.

    `config` is what the signature and the record are made of, and may be one that is refused.
    """

    def __init__(self, config: PlainConfig) -> None:
        self.config = config
        self.signature = signature(config)
        self.name = run_name(config)
        self.folder = Path(config["runs_dir"]) / config["study"] / f"{self.name}-{self.signature}"
        self.checkpoint = self.folder / "checkpoint.ckpt"

    @cached_property
    def typed(self) -> "Config":
        """The config with an attribute for each key, for a run that may begin: it has passed `check`."""
        from initbench.schema.config import Config  # pydantic, which reading records must not cost

        return Config.model_validate(self.config)

    def read(self) -> Record | None:
        """The record as it stands, None where there is none that can be read."""
        return readable(read_record, self.folder)

    def write(self, status: str, **parts: Any) -> Record:
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
            "config": masked(self.config),
        }
        write_record(self.folder, record)
        return record

    def write_table(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write `<name>.parquet`, a row a mapping; keys that a row lacks are null."""
        columns = list(dict.fromkeys(key for row in rows for key in row))
        self.write_columns(name, {key: [row.get(key) for row in rows] for key in columns})

    def write_columns(self, name: str, columns: Mapping[str, Any]) -> None:
        """Write `<name>.parquet`; the columns are lists or arrays of equal length."""
        # Here and not above: reading a record must not cost the import of pyarrow.
        import pyarrow as pa
        from pyarrow import parquet

        sink = pa.BufferOutputStream()
        parquet.write_table(pa.table(dict(columns)), sink)
        atomic_write(self.folder / f"{name}.parquet", sink.getvalue().to_pybytes())


def read_record(folder: Path) -> Record | None:
    """The record in a run's folder, None where there is none. Raises Damaged for one that cannot be read.

    Whoever goes on without it calls `readable(read_record, folder)`.
    """
    remedy = "the next sweep that has this run sets the file aside and runs it again"
    record: Record | None = read_json(folder / "record.json", check_record, remedy)
    return record


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write record.json; one that cannot be read is set aside, one of a newer schema raises NewerRecord."""
    path = folder / "record.json"
    try:
        read_record(folder)
    except NewerRecord:
        raise
    except Damaged:
        with writing(path):
            set_aside(path)
    text = json.dumps(finite(record), indent=1, allow_nan=False)
    atomic_write(path, text.encode())


def read_table(folder: Path, name: str) -> Any:
    """`<name>.parquet` of a run as a pyarrow.Table, None where there is none. Raises Damaged."""
    import pyarrow as pa
    from pyarrow import parquet

    path = folder / f"{name}.parquet"
    try:
        check_file(path)
        with parquet.ParquetFile(path) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, pa.ArrowException) as error:
        raise Damaged(path, error, TABLE_REMEDY) from error


def left_alone(folder: Path) -> bool:
    """Whether the files of a run must stay as they are; then one line says why, the first time."""
    try:
        if os.path.lexists(folder) and not folder.is_dir():
            raise LeftAlone(f"{folder} is no folder, so its run is left alone: move it away")
        check_lock(folder)
        read_record(folder)
    except LeftAlone as reason:
        tell(reason)
        return True
    except Damaged:
        pass  # a run may replace it
    return False


def now() -> str:
    """The time, UTC, to the second: as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def check_writable(folder: str | Path, key: str = "runs_dir") -> None:
    """Raise UserMistake unless folders can be made, and files locked, under `folder`; leaves nothing behind.

    `key` says where the config has it.
    """
    existing = Path(folder).absolute()
    try:
        while not existing.exists():
            existing = existing.parent
        with TemporaryFile(dir=existing) as file:
            file.write(bytes(4096))  # a full disk still takes names
            file.flush()
            check_locks(file, folder)
    except OSError as error:
        raise UserMistake(f"{key} {str(folder)!r} is not writable: {error.strerror}") from error


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
        with replacing(path) as file:
            file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path` when the block has ended; if the block raises, nothing is left of it.

    Its mode follows the umask. A folder in that place is set aside.
    """
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in _NO_FSYNC:
                    raise
        if path.is_dir() and not path.is_symlink():
            set_aside(path)
        part.replace(path)
    except BaseException:  # a signal too must leave no part behind
        part.unlink(missing_ok=True)
        raise


def finite(value: Any) -> Any:
    """The same tree with NaN and infinities as None: JSON has neither."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
