"""A file that is used only as it was written."""

import os
from pathlib import Path

import pytest

import initbench
from initbench.record import sealed
from initbench.record.sealed import read_sealed, write_sealed


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_sealed(tmp_path / "new" / "file", {"a": [1, 0.1, "\u202e", None]}, "question")
    assert read_sealed(tmp_path / "new" / "file", "question") == {"a": [1, 0.1, "\u202e", None]}


def test_another_question_has_no_answer(tmp_path: Path) -> None:
    write_sealed(tmp_path / "file", 1, "question")
    assert read_sealed(tmp_path / "file", "another") is None


@pytest.mark.parametrize("damage", ["changed", "cut", "empty", "longer"])
def test_a_damaged_file_is_not_used(tmp_path: Path, damage: str) -> None:
    write_sealed(tmp_path / "file", [12, 34])
    content = (tmp_path / "file").read_bytes()
    damaged = {"changed": content.replace(b"12", b"13"), "cut": content[:-1], "empty": b"", "longer": content + b" "}
    assert damaged[damage] != content
    (tmp_path / "file").write_bytes(damaged[damage])
    assert read_sealed(tmp_path / "file") is None


def test_a_file_of_another_version_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(initbench, "__file__", str(package / "__init__.py"))
    (package / "__init__.py").write_text("# of now")
    sealed._code.cache_clear()
    write_sealed(tmp_path / "file", 1)
    assert read_sealed(tmp_path / "file") == 1
    (package / "__init__.py").write_text("# of then")
    sealed._code.cache_clear()
    assert read_sealed(tmp_path / "file") is None
    monkeypatch.undo()
    sealed._code.cache_clear()
    assert read_sealed(tmp_path / "file") is None


def test_no_file_is_no_answer(tmp_path: Path) -> None:
    assert read_sealed(tmp_path / "file") is None
    (tmp_path / "folder").mkdir()
    assert read_sealed(tmp_path / "folder") is None


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("so that no folder can be made: permissions do not stop root")
    write_sealed(tmp_path / "file" / "below", 1)
    assert read_sealed(tmp_path / "file" / "below") is None


def test_an_edit_of_code_in_any_folder_counts_and_what_python_has_compiled_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    (package / "deep" / "__pycache__").mkdir(parents=True)
    (package / "deep" / "a.py").write_text("1")
    monkeypatch.setattr(initbench, "__file__", str(package / "__init__.py"))

    def seal() -> bytes:
        sealed._code.cache_clear()
        return sealed._seal("", b"")

    try:
        before = seal()
        (package / "deep" / "__pycache__" / "a.pyc").write_text("compiled")
        assert seal() == before
        (package / "deep" / "a.py").write_text("2")
        assert seal() != before
    finally:
        monkeypatch.undo()
        sealed._code.cache_clear()


def test_a_pipe_is_no_answer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "file")
    assert read_sealed(tmp_path / "file") is None
