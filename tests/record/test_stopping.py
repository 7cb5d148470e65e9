"""What signals do to a run: a request first, the end after a while, and a scheduler that listens is called."""

import os
import signal
import threading
import time

import pytest

from initbench.record import stopping
from initbench.record.stopping import Stopped, requested, stop, stoppable, take_back


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


def test_a_request_is_forgotten_with_its_block_and_the_next_begins_without_it() -> None:
    for _ in range(2):
        with pytest.raises(Stopped), stoppable():
            assert not requested()
            os.kill(os.getpid(), signal.SIGTERM)
    with stoppable():
        assert not requested()


def test_lightnings_handler_of_sigterm_is_replaced_while_we_listen_and_stays_otherwise() -> None:
    before = signal.getsignal(signal.SIGTERM)
    take_back()
    assert signal.getsignal(signal.SIGTERM) is before
    with stoppable():
        ours, interrupt = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        take_back()
        assert signal.getsignal(signal.SIGTERM) is ours
        assert signal.getsignal(signal.SIGINT) is interrupt
    take_back()
    assert signal.getsignal(signal.SIGTERM) is before


def test_who_listens_to_sigusr2_is_not_called_for_another_signal() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda signum, frame: heard.append(signum))
    try:
        with pytest.raises(Stopped), stoppable():
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(RuntimeError), stoppable():
            raise RuntimeError
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert heard == []


def test_in_another_thread_nobody_listens_and_the_block_runs_all_the_same() -> None:
    ran: list[bool] = []

    def run() -> None:
        with stoppable():
            ran.append(requested())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ran == [False]


def test_the_same_wish_again_is_no_second_one() -> None:
    with pytest.raises(Stopped, match="SIGINT") as caught, stoppable():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        still_here = True
    assert still_here
    assert caught.value.signum == signal.SIGINT
