"""One process makes a file while others wait: whose lock it is, and what is said."""

import stat
import threading
import time
from pathlib import Path

import pytest

from initbench.data import turn
from initbench.data.turn import alone


@pytest.mark.parametrize("mode", [0o775, 0o700, 0o777])
def test_whoever_may_write_the_folder_may_take_the_lock(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    with alone(folder / "a.lock", "reading") as held:
        assert held
    assert stat.S_IMODE((folder / "a.lock").stat().st_mode) == mode & 0o666


def test_where_there_can_be_no_lock_the_block_is_entered_and_told(tmp_path: Path) -> None:
    with alone(tmp_path / "missing" / "a.lock", "reading") as held:
        assert not held


def test_the_second_waits_and_says_for_what(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "_UNNOTICED", 0.1)
    done: list[object] = []

    def second() -> None:
        with alone(tmp_path / "a.lock", "reading zebras") as held:
            done.append((list(done), held))

    with alone(tmp_path / "a.lock", "reading"):
        other = threading.Thread(target=second, daemon=True)
        other.start()
        said = ""
        for _ in range(1000):
            said += capsys.readouterr().err
            if "zebras" in said:
                break
            time.sleep(0.02)
        done.append(None)
    other.join(timeout=20)
    assert not other.is_alive()
    assert said.count("waiting for another process that is reading zebras") == 1
    assert done == [None, ([None], True)], "not before the first was done"
