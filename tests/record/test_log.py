"""What a run's own log holds."""

import faulthandler
import logging
import os
import re
import resource
import subprocess
import sys
import warnings
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest

from initbench.record.log import logging_to, note


def test_warnings_and_messages_go_to_the_file_and_warnings_to_people_too(tmp_path: Path) -> None:
    path = tmp_path / "run" / "log.txt"
    with warnings.catch_warnings(record=True) as shown, logging_to([path]):
        warnings.simplefilter("always")
        warnings.warn("the batch is small", UserWarning, stacklevel=1)
        logging.getLogger("a.library").warning("the network is slow")
        note(path, "interrupted")
    logging.getLogger("a.library").warning("not ours")
    text = path.read_text()
    for part in ("UserWarning: the batch is small", "the network is slow", "interrupted"):
        assert part in text
    assert "not ours" not in text
    assert len(shown) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_hooks_and_handlers_are_put_back(tmp_path: Path, fails: bool) -> None:
    show, handlers = warnings.showwarning, [*logging.getLogger().handlers]
    with suppress(RuntimeError), logging_to([tmp_path / "a.txt", tmp_path / "b.txt"]):
        assert warnings.showwarning is not show
        assert len(logging.getLogger().handlers) == len(handlers) + 2
        if fails:
            raise RuntimeError
    assert warnings.showwarning is show
    assert logging.getLogger().handlers == handlers


def test_a_fault_handler_of_ours_is_taken_off(tmp_path: Path) -> None:
    code = (
        "import faulthandler, pathlib; from initbench.record.log import logging_to\n"
        f"with logging_to([pathlib.Path({str(tmp_path / 'log.txt')!r})]): print(faulthandler.is_enabled())\n"
        "print(faulthandler.is_enabled())"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["True", "False"]


def test_a_second_attempt_is_appended(tmp_path: Path) -> None:
    for attempt in (1, 2):
        with logging_to([tmp_path / "log.txt"]):
            note(tmp_path / "log.txt", f"attempt {attempt}")
    assert [line.split()[-1] for line in (tmp_path / "log.txt").read_text().splitlines()] == ["1", "2"]


def test_a_crash_of_native_code_leaves_its_trace(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    code = (
        "import ctypes, pathlib; from initbench.record.log import logging_to, note\n"
        f"with logging_to([pathlib.Path({str(path)!r})]): ctypes.string_at(0)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode < 0
    assert "Segmentation fault" in path.read_text()


@pytest.mark.skipif(not faulthandler.is_enabled(), reason="pytest -p no:faulthandler")
def test_somebody_elses_fault_handler_stays(tmp_path: Path) -> None:
    with logging_to([tmp_path / "log.txt"]):
        pass
    assert faulthandler.is_enabled()


def test_a_folder_in_the_place_of_the_log_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.mkdir()
    with logging_to([path]):
        note(path, "attempt 1 begins")
    assert "attempt 1 begins" in path.read_text()
    assert (tmp_path / "log.txt.damaged").is_dir()


def test_secrets_are_masked_in_notes_messages_and_warnings(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    with warnings.catch_warnings(record=True), logging_to([path]):
        warnings.simplefilter("always")
        note(path, "password=hunter2222")
        logging.getLogger("a.library").warning("sent with %s", "api_key=hunter3333")
        warnings.warn("at https://me:hunter4444@host", UserWarning, stacklevel=1)
    text = path.read_text()
    assert text.count("***") == 4  # a warning has the line that made it
    assert "hunter" not in text


def test_each_line_has_its_time_and_what_is_no_text_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.txt"
    note(path, "a \udc80 b")
    with logging_to([path]):
        # To our own handler alone: pytest keeps messages for its report, which has to be text.
        logging.getLogger().handlers[-1].handle(logging.makeLogRecord({"msg": "c \udc81 d"}))
    first, second = path.read_text("utf-8").splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d a \\udc80 b", first)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d c \\udc81 d", second)


def test_a_note_that_finds_no_room_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = StringIO()  # no file, which could not grow either
    monkeypatch.setattr(sys, "stderr", said)
    (tmp_path / "file").write_text("")
    note(tmp_path / "file" / "log.txt", "lost")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with logging_to([tmp_path / "log.txt"]):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            logging.getLogger("a.library").warning("lost")
            note(tmp_path / "log.txt", "lost")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert said.getvalue() == ""


def test_a_pipe_in_the_place_of_the_log_is_set_aside(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log.txt")
    with logging_to([tmp_path / "log.txt"]):
        note(tmp_path / "log.txt", "attempt 1 begins")
    assert "attempt 1 begins" in (tmp_path / "log.txt").read_text()
    assert (tmp_path / "log.txt.damaged").is_fifo()


def test_the_source_line_of_a_warning_is_in_every_file(tmp_path: Path) -> None:
    paths = [tmp_path / "a.txt", tmp_path / "b.txt"]
    shown = []
    with warnings.catch_warnings():
        warnings.showwarning = lambda *arguments: shown.append(arguments)  # type: ignore[assignment]  # any hook
        with logging_to(paths):
            warnings.showwarning(UserWarning("odd"), UserWarning, "a.py", 3, None, "the(line)")
    for path in paths:
        assert "a.py:3: UserWarning: odd\n  the(line)\n" in path.read_text()
    assert [arguments[1:] for arguments in shown] == [(UserWarning, "a.py", 3, None, "the(line)")]
