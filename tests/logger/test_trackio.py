"""The real Trackio: what it reads back of runs in its own database, or on a server of its own on this machine."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("trackio", reason="needs the extra `trackio`")

import torch
from trackio import Api, utils
from trackio.sqlite_storage import SQLiteStorage

import initbench
from initbench.logger import RunInfo, close, mirror, prepare, summarize
from initbench.logger.mirror import identity

MakeRun = Callable[..., RunInfo]


@pytest.fixture(autouse=True)
def place(trackio_alone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where Trackio keeps the runs of the test."""
    monkeypatch.setattr(mirror, "_unusable", set())
    return trackio_alone


def conf(**changes: Any) -> dict[str, Any]:
    return yaml.safe_load((initbench.CONF / "logger" / "trackio.yaml").read_text()) | changes


def ids(project: str = "depth") -> list[str]:
    return [run.id for run in Api().runs(project)]


def config(run: RunInfo) -> dict[str, Any]:
    (found,) = [found for found in Api().runs(run.study) if found.id == identity(run)]
    return found.config


def rows(run: RunInfo) -> list[dict[str, Any]]:
    """The rows of a run, without the time at which each was written."""
    held = SQLiteStorage.get_logs(run.study, run_id=identity(run))
    return [{key: value for key, value in row.items() if key != "timestamp"} for row in held]


def test_a_run_holds_its_name_project_config_rows_summary_and_status(
    make_run: MakeRun, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    loggers = prepare(conf())(run)
    loggers[0].log_metrics({"train/loss": torch.tensor(2.5), "val/accuracy": 0.1}, 0)
    loggers[0].log_metrics({"train/loss": float("nan")}, 50)
    summarize(loggers, {"best_accuracy": 0.9, "steps_to_0.9": None, "status": "diverged"})
    close(loggers, 0)
    close(loggers, 1)  # a second end changes nothing

    assert capfd.readouterr() == ("", "")
    (found,) = Api().runs("depth")
    assert (found.id, found.name) == (identity(run), "orthogonal")
    assert found.config == {
        **{"seed": 3, "init.name": "orthogonal", "init.gain": None, "optimizer.lr": 0.1},
        **{"tags": ["cpu", "mnist"], "status": "diverged"},
    }
    first, second, *last = rows(run)
    assert first == {"step": 0, "train/loss": 2.5, "val/accuracy": 0.1}
    assert (second["step"], str(second["train/loss"])) == (50, "nan")
    assert last == [{"step": 50, "best_accuracy": 0.9}, {"step": 50, "exit_code": 0}]


def test_a_run_that_continues_has_each_row_once_and_a_fresh_attempt_is_another_run(make_run: MakeRun) -> None:
    run = make_run()
    (killed,) = prepare(conf())(run)
    for step in range(4):
        killed.log_metrics({"train/loss": 1.0, "train/norm": 2.0}, step)
    killed.log_metrics({"val/loss": 5.0}, 2)
    while len(rows(run)) < 5:
        time.sleep(0.01)  # it is killed now: nobody ends it
    assert config(run)["status"] == "running"

    resumed = prepare(conf())(make_run(resumed=True))  # from a checkpoint of step 2
    for step in range(2, 6):
        resumed[0].log_metrics({"train/loss": 1.0}, step)
    resumed[0].log_metrics({"val/loss": 5.0}, 2)
    close(resumed, 0)
    assert [row["step"] for row in rows(run) if "train/loss" in row] == [0, 1, 2, 3, 4, 5]
    assert [row["step"] for row in rows(run) if "val/loss" in row] == [2]
    assert config(run)["status"] == "finished"

    fresh = prepare(conf())(make_run(attempt=2))
    fresh[0].log_metrics({"train/loss": 3.0}, 0)
    close(fresh, 1)
    assert ids() == [identity(run), identity(make_run(attempt=2))]
    assert rows(make_run(attempt=2))[0] == {"step": 0, "train/loss": 3.0}
    assert config(make_run(attempt=2))["status"] == "failed"


def test_two_runs_open_at_once_are_two_runs(make_run: MakeRun) -> None:
    first, second = make_run("aaaa"), make_run("bbbb")
    one, two = prepare(conf())(first), prepare(conf())(second)
    two[0].log_metrics({"loss": 2.0}, 0)
    one[0].log_metrics({"loss": 1.0}, 0)
    close(one, 0)
    close(two, 1)
    assert [rows(run)[0] for run in (first, second)] == [{"step": 0, "loss": 1.0}, {"step": 0, "loss": 2.0}]
    assert [config(run)["status"] for run in (first, second)] == ["finished", "failed"]


def test_a_value_that_is_no_number_silences_the_mirror(make_run: MakeRun, capfd: pytest.CaptureFixture[str]) -> None:
    loggers = prepare(conf())(make_run())
    loggers[0].log_metrics({"loss": "much"}, 0)
    loggers[0].log_metrics({"loss": 1.0}, 1)
    close(loggers, 0)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("trackio: nothing more is logged for this run: ")


@pytest.mark.parametrize("where", ["a file in the way", "no server", "not a database", "a name of Trackio's own"])
def test_a_place_that_cannot_be_written_to_costs_one_line_and_no_run(
    where: str, place: Path, make_run: MakeRun, closed_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    if where == "a file in the way":
        place.write_text("")
    if where == "not a database":
        place.mkdir()
        (place / "depth.db").write_text("not a database " * 100)
    url = f"http://127.0.0.1:{closed_port}/?write_token=s3cr3t-v4lue" if where == "no server" else None
    study = "registry-1" if where == "a name of Trackio's own" else "depth"
    for signature in ("aaaa", "bbbb"):
        loggers = prepare(conf(server_url=url))(make_run(signature, study=study))
        loggers[0].log_metrics({"loss": 1.0}, 0)
        summarize(loggers, {"status": "finished"})
        close(loggers, 0)
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("trackio: runs are not logged: ")
    assert "s3cr3t-v4lue" not in err


def test_a_database_that_breaks_costs_one_line_and_no_run(
    place: Path, make_run: MakeRun, capfd: pytest.CaptureFixture[str]
) -> None:
    loggers = prepare(conf())(make_run())
    for file in place.glob("depth.db*"):
        file.write_bytes(b"not a database " * 10_000)
    for step in range(300):
        loggers[0].log_metrics({"loss": 1.0}, step)
    close(loggers, 0)
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_on_a_network_file_system_rows_are_files_that_the_dashboard_reads(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where SQLite would lose them."""
    from trackio.fragments import import_inbox_dir

    monkeypatch.setattr(utils, "is_network_filesystem", lambda path: True)
    monkeypatch.setattr(utils, "_storage_mode_notified", False)
    run = make_run()
    loggers = prepare(conf())(run)
    loggers[0].log_metrics({"loss": 1.0}, 0)
    close(loggers, 0)
    assert capfd.readouterr() == ("", "")
    assert rows(run) == []
    import_inbox_dir()
    assert rows(run) == [{"step": 0, "loss": 1.0}, {"step": 0, "exit_code": 0}]
    assert config(run)["status"] == "finished"


def test_a_server_gets_the_run(make_run: MakeRun, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import trackio; trackio.show(open_browser=False, block_thread=True)"
    there = {**os.environ, "TRACKIO_DIR": str(tmp_path / "there"), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen([sys.executable, "-c", code], env=there, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = next(
                found[0] for line in server.stdout if (found := re.search(r"http://127\S*write_token=\S+", line))
            )
            run = make_run()
            loggers = prepare(conf(server_url=url))(run)
            for step in range(3):
                loggers[0].log_metrics({"loss": 1.0}, step)
            summarize(loggers, {"best_loss": 1.0, "status": "diverged"})
            close(loggers, 0)
        finally:
            server.send_signal(signal.SIGKILL)
    assert not place.exists()
    monkeypatch.setattr("trackio.sqlite_storage.TRACKIO_DIR", tmp_path / "there")
    assert [row["step"] for row in rows(run)] == [0, 1, 2, 2, 2]
    assert config(run)["status"] == "diverged"


def test_a_server_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"logger\.server_url must end in \?write_token="):
        prepare(conf(server_url="http://127.0.0.1:7860"))
    monkeypatch.setenv("TRACKIO_WRITE_TOKEN", "s3cr3t-v4lue")
    prepare(conf(server_url="http://127.0.0.1:7860"))


def test_trackio_is_imported_by_the_first_run_and_missing_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        f"import sys; from initbench.logger import prepare; prepare({conf()!r}); sys.exit('trackio' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    monkeypatch.setattr("initbench.logger.trackio.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^logger=trackio needs Trackio: pip install 'initbench\[trackio\]'$"):
        prepare(conf())
