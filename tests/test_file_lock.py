"""Locks of files: who holds one, and what happens where there can be none."""

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from initbench import file_lock
from initbench.file_lock import OPEN, locked, try_lock


def test_a_lock_is_held_within_the_block_and_not_after_it(tmp_path: Path) -> None:
    with locked(tmp_path / "lock") as held, locked(tmp_path / "lock", patience=0) as again:
        assert (held, again) == (True, False)
    with locked(tmp_path / "lock", patience=0) as held:
        assert held


def test_it_is_released_where_the_block_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock"):
        raise KeyError
    with locked(tmp_path / "lock", patience=0) as held:
        assert held


def test_patience_is_in_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(file_lock, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    with locked(tmp_path / "lock"), locked(tmp_path / "lock", patience=3) as held:
        assert not held
    assert 3 < now[0] < 3.2


def test_somebody_who_has_given_up_takes_nothing_from_the_one_who_holds_it(tmp_path: Path) -> None:
    with locked(tmp_path / "lock"):
        with locked(tmp_path / "lock", patience=0):
            pass
        with locked(tmp_path / "lock", patience=0) as held:
            assert not held


def test_a_file_in_a_folder_that_is_missing_cannot_be_locked(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked(tmp_path / "missing" / "lock"):
        pass


def test_readers_share_a_lock_and_a_writer_does_not(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    first, second, third = (os.open(tmp_path / "lock", OPEN) for _ in range(3))
    try:
        assert try_lock(first, fcntl.LOCK_SH)
        assert try_lock(second, fcntl.LOCK_SH)
        assert not try_lock(third, fcntl.LOCK_EX)
    finally:
        for file in (first, second, third):
            os.close(file)
