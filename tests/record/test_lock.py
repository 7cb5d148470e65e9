"""One process at a time on a run, and a dead one does not count."""

import errno
import fcntl
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from initbench.errors import LeftAlone, Unwritable
from initbench.record.lock import check_lock, check_locks, is_held, lock
from initbench.record.store import check_writable, left_alone

HOLD = """
import sys, time
from pathlib import Path
from initbench.record.lock import lock
with lock(Path(sys.argv[1])) as mine:
    print(mine, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that holds the lock of `run`."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"True\n"
        yield process
        process.kill()


def test_a_run_is_held_by_one_process_and_others_are_told(other, tmp_path: Path) -> None:
    assert is_held(tmp_path / "run")
    assert not is_held(tmp_path / "another")
    with lock(tmp_path / "run", patience=0.2) as mine:
        assert not mine


def test_a_killed_process_holds_nothing(other, tmp_path: Path) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert not is_held(tmp_path / "run")
    with lock(tmp_path / "run") as mine:
        assert mine
        assert is_held(tmp_path / "run")


def test_a_process_that_is_about_to_end_is_waited_for(other, tmp_path: Path) -> None:
    started = time.monotonic()
    subprocess.Popen(["sh", "-c", f"sleep 0.5; kill -9 {other.pid}"]).wait()
    with lock(tmp_path / "run") as mine:
        assert mine
    assert time.monotonic() - started > 0.4


def test_looking_makes_no_file(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK, errno.EINVAL])
def test_a_file_system_without_locks_is_said_at_once(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lock(tmp_path / "run"):
        pass

    def refuse(file: int, kind: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    reason = re.escape(f"{tmp_path} is on a file system that cannot lock files (flock: {os.strerror(number)}): choose")
    with pytest.raises(Unwritable, match=reason), lock(tmp_path / "run", patience=math.inf):
        pass
    with pytest.raises(ValueError, match=reason):
        check_writable(tmp_path)
    assert is_held(tmp_path / "run")


def test_a_file_in_the_place_of_the_locks_is_said(tmp_path: Path) -> None:
    (tmp_path / ".locks").write_text("")
    assert not is_held(tmp_path / "run")
    with pytest.raises(Unwritable, match=r"\.locks is no folder: move it away"), lock(tmp_path / "run"):
        pass


def test_a_lock_that_cannot_be_opened_leaves_its_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".locks" / "run.lock").mkdir(parents=True)
    with pytest.raises(LeftAlone, match="is a folder, so its run is left alone: move it away"), lock(tmp_path / "run"):
        pass
    assert left_alone(tmp_path / "run")
    assert not left_alone(tmp_path / "another")
    assert "run.lock is a folder" in capsys.readouterr().err


def test_what_a_run_may_replace_is_not_left_alone(tmp_path: Path) -> None:
    """A record that cannot be read, or none; but a file in the place of its folder stays."""
    damaged, file = tmp_path / "damaged", tmp_path / "file"
    damaged.mkdir()
    (damaged / "record.json").write_text("{")
    file.write_text("")
    assert not left_alone(damaged)
    assert left_alone(file)


def test_a_lock_ends_with_its_block_even_if_a_child_was_forked_inside(tmp_path: Path) -> None:
    """A child has its parent's open files, and may outlive the block by far."""
    code = (
        "import os, signal, time\n"
        "from pathlib import Path\n"
        "from initbench.record.lock import is_held, lock\n"
        "with lock(Path('run')) as mine:\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        time.sleep(600)\n"
        "print(mine, is_held(Path('run')))\n"
        "os.kill(child, signal.SIGKILL)\n"
    )
    assert subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True) == "True False\n"


def test_two_who_only_look_do_not_see_each_other(tmp_path: Path) -> None:
    with lock(tmp_path / "run"):
        pass
    with (tmp_path / ".locks" / "run.lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_held(tmp_path / "run")
        assert not is_held(tmp_path / "run.other")


def test_runs_whose_names_have_a_dot_have_locks_of_their_own(tmp_path: Path) -> None:
    with lock(tmp_path / "lr0.1") as one, lock(tmp_path / "lr0.2", patience=0) as other:
        assert one
        assert other
    assert sorted(path.name for path in (tmp_path / ".locks").iterdir()) == ["lr0.1.lock", "lr0.2.lock"]


def test_a_lock_that_links_to_nowhere_leaves_its_run_alone(tmp_path: Path) -> None:
    (tmp_path / ".locks").mkdir()
    (tmp_path / ".locks" / "run.lock").symlink_to(tmp_path / "no" / "such" / "folder")
    words = r"run\.lock cannot be opened \(No such file or directory\), so its run is left alone: ask its owner"
    with pytest.raises(LeftAlone, match=words), lock(tmp_path / "run"):
        pass


def test_looking_at_locks_keeps_no_file_open(tmp_path: Path) -> None:
    with lock(tmp_path / "run"):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            assert is_held(tmp_path / "run")
            check_lock(tmp_path / "run")
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_lock_that_may_be_read_but_not_written_leaves_its_run_alone(tmp_path: Path) -> None:
    """As one of another user's; a folder stands in for it, as permissions do not stop root."""
    (tmp_path / ".locks" / "run.lock").mkdir(parents=True)
    with pytest.raises(LeftAlone, match="is a folder"):
        check_lock(tmp_path / "run")
    check_lock(tmp_path / "another")
    (tmp_path / "file").write_text("")
    check_lock(tmp_path / "file" / "run")
    assert [path.name for path in (tmp_path / ".locks").iterdir()] == ["run.lock"]


def test_whether_files_can_be_locked_is_asked_for_the_lock_that_runs_take(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as file, (tmp_path / "file").open("rb") as other:
        check_locks(file, tmp_path)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
