"""A checkpoint is saved when that pays, and never loaded unless it is what it says."""

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from initbench.errors import Unwritable
from initbench.record.checkpoint import CheckpointFile


def saved(folder: Path, owner: str = "a-run") -> CheckpointFile:
    file = CheckpointFile(folder / "checkpoint.ckpt", owner, seconds=0.0, keys=("weights", "rows"))
    state = {"owner": owner, "weights": torch.arange(1000.0), "rows": {4: {"step": 4, "val/loss": 0.5}}}
    file.save(lambda part: torch.save(state, part))
    return file


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    state = saved(tmp_path).load()
    assert state is not None
    assert state["weights"].sum() == 499500
    assert state["rows"][4]["val/loss"] == 0.5
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.ckpt"]


def test_where_there_is_none_there_is_nothing(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "checkpoint.ckpt", "a-run", seconds=0.0, keys=("weights", "rows"))
    assert file.load() is None
    file.remove()


class _Executed:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, ...]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]  # whatever pickle would call


def _foreign(path: Path) -> None:
    saved(path.parent, owner="another")


def _executes(path: Path) -> None:
    torch.save({"owner": "a-run", "rows": _Executed()}, path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _of_zeros(path: Path) -> None:
    """As after a crash of the machine: the length is right, the bytes never reached the disk."""
    path.write_bytes(bytes(path.stat().st_size))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"no checkpoint" * 100),
    "text": lambda path: path.write_text("{}"),
    "torn": _torn,
    "zeros": _of_zeros,
    "a pickle": lambda path: path.write_bytes(pickle.dumps({"owner": "a-run"})),
    "another zip": lambda path: zipfile.ZipFile(path, "w").close(),
    "a list": lambda path: torch.save([1], path),
    "foreign": _foreign,
    "a directory": _directory,
    "a FIFO": _fifo,
    "without a key": lambda path: torch.save({"owner": "a-run", "rows": {}}, path),
    "without an owner": lambda path: torch.save({"weights": torch.zeros(1), "rows": {}}, path),
    "code": _executes,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_no_checkpoint_of_this_run_is_set_aside_and_named(
    damage: Callable[[Path], object],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    file = saved(tmp_path)
    damage(file.path)
    assert file.load() is None
    assert not file.path.exists()
    assert Path(f"{file.path}.damaged").exists()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{file.path} cannot be read" in said
    assert "the run starts from the beginning" in said
    assert "weights_only" not in said
    assert not Path("executed").exists()


@pytest.mark.parametrize("name", ["checkpoint.ckpt", "checkpoint.part"])
def test_a_folder_in_the_place_of_a_file_is_set_aside(tmp_path: Path, name: str) -> None:
    (tmp_path / name / "inside").mkdir(parents=True)
    file = saved(tmp_path) if name.endswith(".part") else CheckpointFile(tmp_path / name, "a-run", 0.0, keys=())
    assert (file.load() is not None) is name.endswith(".part")
    file.remove()
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.damaged"]
    assert (tmp_path / f"{name}.damaged" / "inside").is_dir()


def test_a_folder_that_is_removed_unread_is_set_aside(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "checkpoint.ckpt", "a-run", 0.0, keys=())
    file.path.mkdir()
    file.remove()
    assert Path(f"{file.path}.damaged").is_dir()


def test_a_slow_checkpoint_is_saved_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most a twentieth of the time goes into saving."""
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    file = CheckpointFile(tmp_path / "checkpoint.ckpt", "a-run", seconds=10.0, keys=())
    now = 10.0
    assert not file.is_due()
    now = 11.0
    assert file.is_due()

    def slowly(part: Path) -> None:
        nonlocal now
        now += 3.0
        part.touch()

    file.save(slowly)
    now += 59.0
    assert not file.is_due()
    now += 2.0
    assert file.is_due()


def test_of_several_processes_only_the_first_puts_the_file_in_its_place(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "checkpoint.ckpt", "a-run", seconds=0.0, keys=())
    file.save(lambda part: torch.save({"owner": "a-run"}, part), is_first=False)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.part"]
    (tmp_path / "checkpoint.part").unlink()
    (tmp_path / "checkpoint.part").mkdir()  # as it may be of several files
    file.save(lambda part: (part / "of-the-second").touch(), is_first=False)
    assert [path.name for path in (tmp_path / "checkpoint.part").iterdir()] == ["of-the-second"]


def test_a_write_that_fails_leaves_the_checkpoint_of_before_and_no_part(tmp_path: Path) -> None:
    file = saved(tmp_path)

    def fail(part: Path) -> None:
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(Unwritable, match=r"checkpoint\.ckpt cannot be written: No space left"):
        file.save(fail)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.ckpt"]
    assert file.load() is not None


@pytest.mark.parametrize("lacks", ["weights", "rows"])
def test_the_key_that_is_missing_is_named(lacks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = CheckpointFile(tmp_path / "checkpoint.ckpt", "a-run", seconds=0.0, keys=("weights", "rows"))
    torch.save({"owner": "a-run", **{key: 1 for key in ("weights", "rows") if key != lacks}}, file.path)
    assert file.load() is None
    assert f"cannot be read (it has no {lacks}): " in capsys.readouterr().err


def test_of_another_run_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = saved(tmp_path)
    _foreign(file.path)
    assert file.load() is None
    assert "(it belongs to another run)" in capsys.readouterr().err


def test_a_device_without_memory_says_nothing_about_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = saved(tmp_path)

    def load(*arguments: object, **keys: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(torch.OutOfMemoryError):
        file.load()
    assert file.path.is_file()


def test_a_checkpoint_is_due_when_its_time_has_passed_since_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    file = CheckpointFile(tmp_path / "checkpoint.ckpt", "a-run", seconds=10.0, keys=())
    now = 111.0
    file.save(lambda part: part.touch())
    now = 120.0
    assert not file.is_due()
    now = 121.5
    assert file.is_due()


def test_the_parent_folder_is_made(tmp_path: Path) -> None:
    assert saved(tmp_path / "new" / "deep").load("cpu") is not None
