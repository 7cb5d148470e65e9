"""What signals do to a run: a request first, the end after a while, and a scheduler that listens is called."""

import os
import signal
import time

import pytest

from initbench.record import stopping
from initbench.record.stopping import Stopped, requested, stop, stoppable


def test_a_signal_is_a_request() -> None:
    with pytest.raises(Stopped, match="SIGTERM"), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
        assert requested()
        stop()
    assert not requested()


def test_a_block_that_ends_by_itself_stops_all_the_same() -> None:
    with pytest.raises(Stopped) as caught, stoppable():
        os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.signum == signal.SIGINT
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)  # nothing will cut off what comes after


def test_without_a_signal_nothing_happens_and_handlers_are_put_back() -> None:
    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before[1]
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)] == before


def test_what_does_not_stop_by_itself_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "GRACE_SECONDS", 0.2)
    with pytest.raises(Stopped), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(200)
        pytest.fail("not cut off")


def test_a_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "REPEAT_SECONDS", 0.1)
    with pytest.raises(Stopped) as caught, stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # the same wish twice
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("not reached")
    assert caught.value.signum == signal.SIGINT


def test_who_listens_to_sigusr2_is_called_when_the_run_is_safe() -> None:
    """As submitit does for SIGUSR2: it requeues the job."""
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda signum, frame: heard.append(signum))
    try:
        with pytest.raises(Stopped), stoppable():
            os.kill(os.getpid(), signal.SIGUSR2)
            assert heard == []
            stop()
        assert heard == [signal.SIGUSR2]
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_sigusr2_that_nobody_listens_to_is_left_alone() -> None:
    before = signal.getsignal(signal.SIGUSR2)
    with stoppable():
        assert signal.getsignal(signal.SIGUSR2) is before
