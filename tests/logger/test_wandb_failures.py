"""What it costs a run if wandb, or its server, fails: one line, at most the timeout, and nothing of the run."""

import select
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
import wandb
from wandb_api import KEY, Api
from wandb_runs import conf, exit_codes, folders, records, rows

from initbench.logger import RunInfo, close, prepare, summarize

MakeRun = Callable[..., RunInfo]
pytestmark = pytest.mark.usefixtures("wandb_alone")


@pytest.mark.parametrize("silent_server", [False, True], ids=["closed port", "silent server"])
def test_an_unreachable_server_costs_one_timeout_and_no_run(
    silent_server: bool,
    make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    with socket.socket() as listener:
        if silent_server:  # takes connections and never answers
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listener.getsockname()[1]}")
        runs, asked = [make_run("aaaa"), make_run("bbbb")], []
        for run in runs:
            start = time.perf_counter()
            loggers = prepare(conf(init_timeout_s=1))(run)
            assert time.perf_counter() - start < 60  # wandb's own patience is longer
            loggers[0].log_metrics({"loss": 1.0}, 7)
            close(loggers, 0)
            asked.append(silent_server and bool(select.select([listener], [], [], 0)[0]))
            while silent_server and select.select([listener], [], [], 0)[0]:
                listener.accept()[0].close()
    assert asked == [silent_server, False]  # the second knows what the first has learned
    out, err = capfd.readouterr()
    assert out == ""
    assert [line.partition("Upload later: ")[2] for line in err.splitlines()] == [
        f"wandb sync {runs[0].folder.parent}/*/wandb/offline-run-*"
    ]
    for run in runs:
        held = records(*folders(run))
        assert rows(held["history"]) == [{"loss": 1.0, "trainer/global_step": 7}]
        assert exit_codes(held) == [0]


def seconds_to_end(loggers: list[Any]) -> float:
    """How long it takes to end a run, after one more row."""
    loggers[0].log_metrics({"loss": 1.0}, 0)
    start = time.perf_counter()
    close(loggers, 0)
    return time.perf_counter() - start


def test_a_server_that_dies_delays_the_end_by_the_timeout(
    make_run: MakeRun, api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    loggers = prepare(conf(finish_timeout_s=1))(run)
    api.dead = True
    assert seconds_to_end(loggers) < 60
    (folder,) = folders(run, "run")
    _, err = capfd.readouterr()
    assert [line.partition("Upload the rest later: ")[2] for line in err.splitlines()] == [f"wandb sync {folder}"]
    assert len(records(folder)["history"]) == 1


def test_a_crash_of_wandb_itself_is_told_once_and_the_next_run_works(
    make_run: MakeRun, capfd: pytest.CaptureFixture[str]
) -> None:
    loggers = prepare(conf(mode="offline"))(make_run("aaaa"))
    service = wandb.setup()._connection._proc._process  # wandb-core, which has no public handle
    service.kill()
    service.wait()
    for step in range(5):
        loggers[0].log_metrics({"loss": 1.0}, step)
        time.sleep(0.05)
    summarize(loggers, {"status": "finished"})
    close(loggers, 0)
    assert len(capfd.readouterr().err.splitlines()) == 1

    run = make_run("bbbb")
    loggers = prepare(conf(mode="offline"))(run)
    loggers[0].log_metrics({"loss": 1.0}, 0)
    close(loggers, 0)
    assert len(records(*folders(run))["history"]) == 1


def test_a_value_that_wandb_refuses_silences_the_mirror_and_still_ends_the_run(
    make_run: MakeRun, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    loggers = prepare(conf(mode="offline"))(run)
    loggers[0].log_metrics({1: 1.0}, 0)  # type: ignore[dict-item]  # the mistake under test
    loggers[0].log_metrics({"loss": 1.0}, 1)
    close(loggers, 0)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("wandb: nothing more is logged for this run: ")
    held = records(*folders(run))
    assert "history" not in held
    assert exit_codes(held) == [0]


def test_a_server_that_answers_a_byte_a_second_delays_the_end_by_the_timeout(
    make_run: MakeRun, api: Api, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    loggers = prepare(conf(finish_timeout_s=1))(run)
    api.seconds_per_byte = 1.0
    took = seconds_to_end(loggers)
    api.dead = True  # or the rest would be answered, byte by byte, before the server ends
    api.seconds_per_byte = 0.0
    assert took < 30  # an answer has more than a hundred bytes
    assert "Upload the rest later: wandb sync" in capfd.readouterr().err
