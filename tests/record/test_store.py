"""The folder of a run: atomic, readable, nothing before it is needed."""

import errno
import json
import math
import os
import re
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from initbench.errors import Unwritable, UserMistake
from initbench.record.lock import lock
from initbench.record.signature import init_label, run_name, setting, signature
from initbench.record.store import Store, atomic_write, check_writable, finite, left_alone, now, replacing


def test_nothing_is_made_before_the_first_write(small: Any) -> None:
    store = Store(small())
    assert store.read() is None
    assert not store.folder.exists()


def test_a_record_reads_back_with_nan_as_null(small: Any) -> None:
    store = Store(small())
    store.write("diverged", results={"val/loss": math.nan}, list=[math.inf, 1.0])
    record = store.read()
    assert record is not None
    assert record["status"] == "diverged"
    assert (record["results"], record["list"]) == ({"val/loss": None}, [None, 1.0])
    assert record["config"] == small()
    assert store.folder.name == f"{store.name}-{store.signature}"


def test_tables_may_have_ragged_rows(small: Any) -> None:
    store = Store(small())
    store.write("running")
    store.write_table("history", [{"step": 0, "val/loss": 2.0}, {"step": 1, "train/loss": 1.5}])
    frame = pd.read_parquet(store.folder / "history.parquet")
    assert frame["step"].tolist() == [0, 1]
    assert frame["val/loss"].isna().tolist() == [False, True]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "record.json"
    atomic_write(path, b"old")

    def full_disk(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(Unwritable, match="No space left"):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    with path.open("rb") as reader:
        atomic_write(path, b"new")
        assert reader.read() == b"old"  # another file took its place
    assert path.read_bytes() == b"new"


def test_what_is_written_has_reached_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "record.json"
    atomic_write(path, b"old")
    seen, fsync = [], os.fsync

    def note(descriptor: int) -> None:
        seen.append((os.fstat(descriptor).st_size, path.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", note)
    atomic_write(path, b"newer")
    assert seen == [(5, b"old")]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077, 0o002])
def test_the_umask_says_who_may_read_what_is_written(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        atomic_write(tmp_path / "file", b"")
        with lock(tmp_path / "run"):
            pass
    finally:
        os.umask(before)
    for path in (tmp_path / "file", tmp_path / ".locks" / "run.lock"):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.parametrize("number", [errno.EPERM, errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_without_fsync_has_what_was_written(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("os.fsync", refuse)
    atomic_write(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]


def test_a_folder_in_the_place_of_a_file_is_set_aside(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "file" / str(number)).mkdir(parents=True)
        atomic_write(tmp_path / "file", b"new")
        assert (tmp_path / "file").read_bytes() == b"new"
        (tmp_path / "file").unlink()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")) == [
        "file.damaged.2/1",
        "file.damaged.3/2",
        "file.damaged/0",
    ]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    check_writable(tmp_path / "new" / "deep")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="is not writable: Not a directory"):
        check_writable(tmp_path / "file" / "runs")


def test_a_disk_without_room_is_found_before_anything_runs(tmp_path: Path) -> None:
    """It takes the names of files all the same. Here no file may be longer than a byte."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        with pytest.raises(UserMistake, match=r"runs_dir .* is not writable: File too large"):
            check_writable(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    check_writable(tmp_path)


def test_a_record_is_json_that_says_its_schema(small: Any) -> None:
    store = Store(small())
    store.write("running")
    assert json.loads((store.folder / "record.json").read_text())["schema"] == 1


def test_a_record_names_its_run_its_setting_and_what_it_was_given(small: Any) -> None:
    config = small("init=orthogonal", "init.gain=2", "seed=3", "study=depth", "+logger.api_key=abcdef987654")
    store = Store(config)
    assert store.checkpoint == store.folder / "checkpoint.ckpt"
    written = store.write("interrupted", attempt=2, seed=3)
    assert written == store.read()
    of_config = {key: written[key] for key in ("study", "name", "signature", "setting", "init", "seed", "status")}
    assert of_config == {
        "study": "depth",
        "name": run_name(config),
        "signature": signature(config),
        "setting": setting(config),
        "init": "orthogonal(gain=2)",
        "seed": 3,
        "status": "interrupted",
    }
    assert written["init"] == init_label(config["init"])
    assert written["attempt"] == 2
    assert written["config"] == {**config, "logger": {**config["logger"], "api_key": "***"}}
    assert str(store.folder).endswith(f"/runs/depth/{run_name(config)}-{signature(config)}")


def test_a_table_has_the_keys_of_all_rows_in_the_order_they_came(small: Any) -> None:
    store = Store(small())
    store.write_table("history", [{"a": 1}, {"b": 2.0, "a": 3}, {"c": "x"}])
    frame = pd.read_parquet(store.folder / "history.parquet")
    assert list(frame) == ["a", "b", "c"]
    assert frame.isna().to_numpy().tolist() == [[False, True, True], [False, False, True], [True, True, False]]


def test_the_time_is_of_utc_to_the_second() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    found = now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found)
    assert before <= datetime.fromisoformat(found) <= datetime.now(UTC)


def test_what_json_has_no_number_for_is_none_at_any_depth() -> None:
    assert finite({"a": (1.0, math.nan, [math.inf, {"b": -math.inf}]), "c": 3, "d": "x"}) == {
        "a": [1.0, None, [None, {"b": None}]],
        "c": 3,
        "d": "x",
    }


def test_a_link_to_nowhere_in_the_place_of_a_run_leaves_it_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").symlink_to("nowhere")
    assert left_alone(tmp_path / "run")
    assert capsys.readouterr().err == (
        f"initbench: {tmp_path / 'run'} is no folder, so its run is left alone: move it away\n"
    )
    assert not left_alone(tmp_path / "another")


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_a_write_leaves_no_part_of_it(error: type[BaseException], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(error), replacing(tmp_path / "file") as file:
        file.write(b"half")
        raise error
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_a_link_is_replaced_and_what_it_links_to_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").symlink_to("folder")
    atomic_write(tmp_path / "file", b"new")
    assert not (tmp_path / "file").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_that_cannot_be_written_is_named_with_its_key_in_the_config(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = str(tmp_path / "file" / "x")
    with pytest.raises(UserMistake, match=f"^hydra.sweep.dir '{folder}' is not writable: Not a directory$"):
        check_writable(folder, "hydra.sweep.dir")
    with pytest.raises(Unwritable, match=f"^{folder} cannot be written: .*. What is recorded already is"):
        atomic_write(tmp_path / "file" / "x", b"")


def test_a_disk_that_fails_to_sync_is_no_file_system_without_fsync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(Unwritable, match=r"Input/output error\. What is recorded already is safe"):
        atomic_write(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []
