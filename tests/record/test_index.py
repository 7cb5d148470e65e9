"""The index of a study's records: whatever happens to it or to them, the records are what is read."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from records import iso, record

from initbench.record import index
from initbench.record.damage import Damaged
from initbench.record.flat import flat
from initbench.record.index import Records
from initbench.record.store import read_record

RUNS = index._WORTH


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose records were written some time ago, as far as a file system can tell."""
    for number in range(RUNS):
        write(tmp_path / f"run{number}", number)
    return tmp_path


@pytest.fixture(autouse=True)
def _settled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Time of any change cannot be set, so tests would have to wait for it to pass."""
    monkeypatch.setattr(index, "_SETTLED_NS", 0)
    yield
    index.of_study.cache_clear()


def write(folder: Path, seed: int) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "record.json").write_text(json.dumps(record(seed=seed)))
    return folder / "record.json"


def indexed(study: Path) -> Records:
    """The records as another process finds them, after one has written the index."""
    records = Records(study)
    for number in range(RUNS):
        records.read(f"run{number}")
    records.save()
    assert (study / ".sweep" / "records.index").exists()
    return Records(study)


def opened(records: Records, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs whose files are opened when all are read; every row is that of the record in its file."""
    names: list[str] = []

    def read(folder: Path) -> object:
        names.append(folder.name)
        return read_record(folder)

    monkeypatch.setattr(index, "read_record", read)
    for number in range(RUNS):
        name = f"run{number}"
        of_file = read_record(records.study / name)
        assert of_file is not None
        assert records.read(name) == flat(of_file)
    return names


def test_no_file_is_opened_if_none_has_changed(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(indexed(study), monkeypatch) == []


def test_rows_of_several_workloads_and_metrics_are_those_of_their_records(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = {**record()["metric"], "name": "loss", "higher_is_better": False, "is_share": False}
    odd = {
        "run0": record(seed=0, model={"width": 64, "act": "gelu"}, lr=None, metric=loss),
        "run1": record(seed=1, model={"width": 64.0}, attempt=2, resumed_at=[iso(20), iso(10)]),
        "run2": record(seed="a\x1b", status="refused", reason="one\ntwo", results={"status": 1.0}),  # type: ignore[arg-type]  # odd
    }
    del odd["run2"]["metric"]
    for name, made in odd.items():
        (study / name / "record.json").write_text(json.dumps(made))
    assert opened(indexed(study), monkeypatch) == []


def test_a_record_that_was_written_just_now_is_opened_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "_SETTLED_NS", 3600 * 10**9)
    records = Records(study)
    records.read("run0")
    assert opened(records, monkeypatch)[0] == "run0"


def test_a_record_changed_in_place_is_read_again(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = indexed(study)
    write(study / "run3", 1003)
    assert opened(records, monkeypatch) == ["run3"]


@pytest.mark.parametrize("replaced", [True, False])
def test_a_record_of_the_same_size_and_time_is_read_again(
    study: Path, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    records = indexed(study)
    path = study / "run3" / "record.json"
    before = path.stat()
    changed = path.read_text().replace('"seed": 3', '"seed": 4')
    time.sleep(0.02)  # a tick of the file system's clock
    if replaced:
        (study / "new").write_text(changed)
        (study / "new").replace(path)
    else:
        path.write_text(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert opened(records, monkeypatch) == ["run3"]
    assert (records.read("run3") or {})["seed"] == 4


def test_a_removed_record_is_no_record(study: Path) -> None:
    records = indexed(study)
    (study / "run3" / "record.json").unlink()
    assert records.read("run3") is None


def test_a_record_that_was_damaged_since_is_reported(study: Path) -> None:
    records = indexed(study)
    (study / "run3" / "record.json").write_text("{")
    with pytest.raises(Damaged, match=r"run3/record\.json cannot be read"):
        records.read("run3")


def test_an_added_record_is_read(study: Path) -> None:
    records = indexed(study)
    write(study / "more", 77)
    assert (records.read("more") or {})["seed"] == 77


@pytest.mark.parametrize("damage", ["a changed digit", "cut", "empty", "a folder", "unreadable"])
def test_a_damaged_index_is_not_used(study: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    indexed(study)
    path = study / ".sweep" / "records.index"
    content = path.read_bytes()
    if damage == "a changed digit":
        path.write_bytes(content.replace(b'"seed":5,', b'"seed":6,', 1))
        assert path.read_bytes() != content
    elif damage in ("a folder", "unreadable"):
        path.unlink()
        path.mkdir() if damage == "a folder" else path.symlink_to("nothing")
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    assert len(opened(Records(study), monkeypatch)) == RUNS


def test_where_nothing_can_be_written_there_is_no_index_and_no_word(
    study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (study / ".sweep").write_text("a file, so that no folder can be made: permissions do not stop root")
    records = Records(study)
    for number in range(RUNS):
        records.read(f"run{number}")
    records.save()
    assert capsys.readouterr() == ("", "")


def test_few_records_have_no_index(study: Path) -> None:
    records = Records(study)
    for number in range(RUNS - 1):
        records.read(f"run{number}")
    records.save()
    assert not (study / ".sweep").exists()


def test_two_processes_may_write_it_at_once(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = f"""
from pathlib import Path
from initbench.record import index
index._SETTLED_NS = 0
for _ in range(20):
    records = index.Records(Path({str(study)!r}))
    records._rows.clear()
    for number in range({RUNS}):
        assert records.read(f"run{{number}}")["seed"] == number
    records.save()
"""
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert opened(Records(study), monkeypatch) == []


def test_all_records_below_a_folder_are_found_in_the_order_of_their_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("a/b/run", "a-b/run", "a/run2", "a/run1", "a/run1/inside")):
        (tmp_path / name).mkdir(parents=True)
        write(tmp_path / name, number)
    (tmp_path / "a" / "damaged").mkdir()
    (tmp_path / "a" / "damaged" / "record.json").write_text("{")
    (tmp_path / "a" / "folder" / "record.json").mkdir(parents=True)
    (tmp_path / "a" / "link").mkdir()
    (tmp_path / "a" / "link" / "record.json").symlink_to("nowhere")
    rows, damaged = index.rows_below(tmp_path)
    names = ["a/b/run", "a/run1", "a/run1/inside", "a/run2", "a-b/run"]
    assert [row["path"] for row in rows] == [str(tmp_path / name) for name in names]
    assert [row["seed"] for row in rows] == [0, 3, 4, 2, 1]
    assert [str(error).partition(" cannot be read")[0] for error in damaged] == [
        str(tmp_path / "a" / name / "record.json") for name in ("damaged", "folder", "link")
    ]
    monkeypatch.chdir(tmp_path / "a")
    assert [(row["path"], row["seed"]) for row in index.rows_below(Path("run2"))[0]] == [("run2", 2)]
    assert index.rows_below(tmp_path / "no such folder") == ([], [])


def test_reading_a_whole_study_leaves_an_index_and_reads_it(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = index.rows_below(study)
    assert len(rows) == RUNS
    assert index.of_study(study) is index.of_study(study)
    assert opened(Records(study), monkeypatch) == []
    path = study / ".sweep" / "records.index"
    before = path.stat().st_ino
    index.rows_below(study)
    assert path.stat().st_ino == before  # nothing was opened


def test_runs_that_nobody_read_leave_the_index_and_those_of_before_stay(study: Path) -> None:
    records = indexed(study)
    for number in range(RUNS):
        write(study / f"more{number}", number)
        assert records.read(f"more{number}") is not None
    for number in range(5):
        assert records.read(f"run{number}") is not None
    records.save()
    kept = Records(study)._rows
    assert set(kept) == {f"more{number}" for number in range(RUNS)} | {f"run{number}" for number in range(5)}


@pytest.mark.parametrize("place", [0, 3])
def test_a_time_of_writing_or_of_change_that_is_too_near_keeps_a_row_out(
    study: Path, monkeypatch: pytest.MonkeyPatch, place: int
) -> None:
    """Either may be all that tells a second write within the same tick."""
    monkeypatch.setattr(index, "_SETTLED_NS", 3600 * 10**9)
    usual = index._stamp

    def old(path: str) -> index.Stamp | None:
        stamp = usual(path)
        assert stamp is not None
        return tuple(value if of in (1, 2, place) else 0 for of, value in enumerate(stamp))  # type: ignore[return-value]  # of four

    monkeypatch.setattr(index, "_stamp", old)
    records = Records(study)
    records.read("run0")
    assert records._rows == {}
    monkeypatch.setattr(index, "_stamp", lambda path: (0, 1, 2, 0))
    records.read("run0")
    assert set(records._rows) == {"run0"}
