"""How a worker ends, what its parent makes of the exit code, and SIGTERM to who waits for workers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus

from initbench.workers.reply import outcome
from initbench.workers.sigterm import raising_on_sigterm

END = """
import atexit, sys
from initbench.workers.exit import exit_at_once
is_done = exit_at_once()
atexit.register(lambda: print("registered later, called first"))
print("work", end=" ")
{end}
"""


@pytest.mark.parametrize(
    "end, code",
    [("is_done()", 0), ("", 0), ("sys.exit(3)", 3), ("raise ValueError", 1), ("is_done(); sys.exit(3)", 0)],
)
def test_a_process_ends_at_once_when_all_is_done_and_as_any_other_before(end: str, code: int) -> None:
    """What was printed, and what jobs have registered, is not lost."""
    ended = subprocess.run([sys.executable, "-c", END.format(end=end)], capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert ended.stdout == "work registered later, called first\n"


@pytest.mark.parametrize(
    "code, words",
    [
        (-signal.SIGKILL, "the job's process was killed by SIGKILL"),
        (-signal.SIGSEGV, "the job's process was killed by SIGSEGV"),
        (7, "the job's process ended with exit code 7"),
        (0, "the job's process ended with exit code 0"),  # without a reply it has not done its job
    ],
)
def test_a_job_whose_process_died_has_failed(code: int, words: str) -> None:
    answer = outcome(int(code))
    assert answer.status is JobStatus.FAILED
    assert str(answer._return_value) == words


def test_a_reply_that_cannot_be_loaded_is_a_failure() -> None:
    assert "what the job returned cannot be loaded" in str(outcome(b"no pickle")._return_value)


def test_sigterm_raises_inside_alone(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a test of several processes may have left theirs
    try:
        with pytest.raises(SystemExit) as ended, raising_on_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        assert ended.value.code == 143
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_somebody_elses_handler_of_sigterm_stays() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda signum, frame: heard.append(signum))
    try:
        theirs = signal.getsignal(signal.SIGTERM)
        with raising_on_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is theirs
    finally:
        signal.signal(signal.SIGTERM, before)
