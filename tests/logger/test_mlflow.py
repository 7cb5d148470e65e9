"""The real MLflow: what it reads back of runs that were logged into a study's database, or to no server at all."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from killing import log_until_killed

pytest.importorskip("mlflow", reason="needs the extra `mlflow`")

import torch
from mlflow import MlflowClient
from mlflow.entities import Run
from sqlalchemy import make_url

import initbench
from initbench.logger import RunInfo, close, mirror, prepare, summarize
from initbench.logger.mlflow import _database

MakeRun = Callable[..., RunInfo]


@pytest.fixture(autouse=True)
def alone(mlflow_alone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test in a folder of its own, where MLflow leaves nothing."""
    monkeypatch.setattr(mirror, "_unusable", set())
    monkeypatch.chdir(tmp_path)
    yield
    assert sorted(path.name for path in tmp_path.iterdir()) in (["runs"], ["other", "runs"])


def conf(**changes: Any) -> dict[str, Any]:
    return yaml.safe_load((initbench.CONF / "logger" / "mlflow.yaml").read_text()) | changes


def logged(run: RunInfo) -> list[Run]:
    """What the database of the run's study has, the latest first."""
    client = MlflowClient(f"sqlite:///{run.folder.parent}/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name(run.study)
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time DESC"]))


def history(run: RunInfo, found: Run, key: str) -> list[tuple[int, float]]:
    client = MlflowClient(f"sqlite:///{run.folder.parent}/mlflow/mlflow.db")
    rows = client.get_metric_history(found.info.run_id, key)
    return sorted((row.step, row.value) for row in rows)


def test_a_run_holds_its_name_experiment_tags_params_rows_summary_and_status(
    make_run: MakeRun, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    loggers = prepare(conf())(run)
    loggers[0].log_metrics({"train/loss": torch.tensor(2.5), "val/accuracy": 0.1}, 0)
    loggers[0].log_metrics({"train/loss": float("nan")}, 50)
    summarize(loggers, {"best_accuracy": 0.9, "steps_to_0.9": None, "steps": 50, "status": "diverged"})
    close(loggers, 1)
    close(loggers, 0)  # a second end changes nothing

    assert capfd.readouterr() == ("", "")
    (found,) = logged(run)
    assert (found.info.run_name, found.info.status) == ("orthogonal", "FAILED")
    assert found.data.params == {"seed": "3", "init.name": "orthogonal", "init.gain": "None", "optimizer.lr": "0.1"}
    assert {"cpu", "mnist"} < found.data.tags.keys()
    assert found.data.tags["status"] == "diverged"
    assert history(run, found, "val/accuracy") == [(0, pytest.approx(0.1))]
    assert [(step, str(value)) for step, value in history(run, found, "train/loss")] == [(0, "2.5"), (50, "nan")]
    assert (history(run, found, "best_accuracy"), history(run, found, "steps")) == ([(50, 0.9)], [(50, 50.0)])
    assert "steps_to_0.9" not in found.data.metrics


def test_a_run_that_continues_has_each_step_once_and_a_fresh_attempt_is_another_run(make_run: MakeRun) -> None:
    (first,) = prepare(conf())(make_run())
    for step in range(4):
        first.log_metrics({"train/loss": 1.0}, step)
    first.log_metrics({"val/loss": 5.0}, 2)
    while not (killed := logged(make_run())) or "val/loss" not in killed[0].data.metrics:
        time.sleep(0.01)  # it is killed now: nobody ends it

    resumed = prepare(conf())(make_run(resumed=True))  # from a checkpoint of step 2
    assert logged(make_run())[0].info.status == "RUNNING"
    for step in range(2, 6):
        resumed[0].log_metrics({"train/loss": 1.0}, step)
    resumed[0].log_metrics({"val/loss": 4.0}, 4)
    close(resumed, 0)
    (found,) = logged(make_run())
    assert (found.info.run_id, found.info.status) == (killed[0].info.run_id, "FINISHED")
    assert [step for step, _ in history(make_run(), found, "train/loss")] == [0, 1, 2, 3, 4, 5]
    assert history(make_run(), found, "val/loss") == [(2, 5.0), (4, 4.0)]

    fresh = prepare(conf())(make_run(attempt=2))
    fresh[0].log_metrics({"train/loss": 3.0}, 0)
    close(fresh, 0)
    newest, oldest = logged(make_run())
    assert oldest.info.run_id == found.info.run_id
    assert history(make_run(), newest, "train/loss") == [(0, 3.0)]


def test_two_runs_open_at_once_are_two_runs(make_run: MakeRun) -> None:
    one, two = prepare(conf())(make_run("aaaa", name="one")), prepare(conf())(make_run("bbbb", name="two"))
    two[0].log_metrics({"loss": 2.0}, 0)
    one[0].log_metrics({"loss": 1.0}, 0)
    close(one, 0)
    close(two, 1)
    held = {found.info.run_name: (found.info.status, found.data.metrics) for found in logged(make_run())}
    assert held == {"one": ("FINISHED", {"loss": 1.0}), "two": ("FAILED", {"loss": 2.0})}


def test_what_mlflow_would_refuse_is_cut_or_renamed_and_the_run_is_logged(
    make_run: MakeRun, capfd: pytest.CaptureFixture[str]
) -> None:
    many = {f"key{i}": i for i in range(250)}
    odd = {"k" * 300 + "a": 1, "k" * 300 + "b": 2, "*.bias [2]": 3, "long": "v" * 9000}
    run = make_run(name="n" * 300, tags=["t" * 300, "", "größe"], config={"init": odd | many})
    loggers = prepare(conf())(run)
    loggers[0].log_metrics({f"layer({i})/std": i for i in range(1500)}, 3)
    close(loggers, 0)
    assert capfd.readouterr() == ("", "")
    (found,) = logged(run)
    assert len(found.data.params) == 254
    assert found.data.params["init._.bias _2_"] == "3"
    assert len(found.data.params["init.long"]) == 6000
    assert len(found.data.metrics) == 1500
    assert found.data.metrics["layer_7_/std"] == 7


def test_a_value_that_is_no_number_silences_the_mirror_and_still_ends_the_run(
    make_run: MakeRun, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    loggers = prepare(conf())(run)
    loggers[0].log_metrics({"loss": "much"}, 0)
    loggers[0].log_metrics({"loss": 1.0}, 1)
    close(loggers, 0)
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("mlflow: nothing more is logged for this run: ")
    (found,) = logged(run)
    assert (found.info.status, found.data.metrics) == ("FINISHED", {})


@pytest.mark.parametrize("where", ["a file in the way", "no server", "not a database"])
def test_a_place_that_cannot_be_written_to_costs_one_line_and_no_run(
    where: str, make_run: MakeRun, closed_port: int, capfd: pytest.CaptureFixture[str]
) -> None:
    place = make_run().folder.parent / "mlflow"
    if where == "a file in the way":
        shutil.rmtree(place)
        place.write_text("")
    if where == "not a database":
        (place / "mlflow.db").write_text("not a database " * 100)
    wanted = conf(tracking_uri=f"http://user:s3cr3t-v4lue@127.0.0.1:{closed_port}") if where == "no server" else conf()
    for signature in ("aaaa", "bbbb"):
        loggers = prepare(wanted)(make_run(signature))
        loggers[0].log_metrics({"loss": 1.0}, 0)
        loggers[0].experiment.set_tag("anything", "key", "value")
        summarize(loggers, {"status": "finished"})
        close(loggers, 0)
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("mlflow: runs are not logged: ")
    assert "s3cr3t-v4lue" not in err


def test_a_database_that_breaks_costs_one_line_and_no_run(make_run: MakeRun, capfd: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    loggers = prepare(conf())(run)
    loggers[0].log_metrics({"loss": 1.0}, 0)
    close_to(run)
    for step in range(1, 300):
        loggers[0].log_metrics({"loss": 1.0}, step)
    summarize(loggers, {"status": "finished"})
    close(loggers, 0)
    assert len(capfd.readouterr().err.splitlines()) == 1


def close_to(run: RunInfo) -> None:
    """Make the study's database one that nothing can be written to."""
    (run.folder.parent / "mlflow" / "mlflow.db").write_bytes(b"not a database " * 10_000)


def test_the_environment_names_the_server_and_the_config_comes_first(
    make_run: MakeRun, tmp_path: Path, mlflow_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(mlflow_database, other)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}/mlflow.db")
    client = MlflowClient(f"sqlite:///{other}/mlflow.db")
    run = make_run()
    close(prepare(conf())(run), 0)
    assert client.get_experiment_by_name("depth") is not None
    close(prepare(conf(tracking_uri=f"sqlite:///{run.folder.parent}/mlflow/mlflow.db"))(run), 0)
    assert len(logged(run)) == 1


@pytest.mark.slow
def test_processes_that_begin_and_log_at_once_lose_nothing(make_run: MakeRun) -> None:
    """Three at a time, into a database that none of them finds."""
    study = make_run().folder.parent
    shutil.rmtree(study / "mlflow")
    script = f"""
import sys
import time
from pathlib import Path
from initbench.logger import RunInfo, close, prepare
folder = Path({str(study)!r}, sys.argv[1])
folder.mkdir()
loggers = prepare({conf()!r})(RunInfo(folder, "depth", sys.argv[1], [], {{"seed": 1}}, sys.argv[1], 1, False))
for step in range(100):
    loggers[0].log_metrics({{"loss": float(step), "accuracy": 1.0}}, step)
close(loggers, 0)
"""
    names = [f"run{i}" for i in range(3)]
    started = [subprocess.Popen([sys.executable, "-c", script, name], stderr=subprocess.PIPE) for name in names]
    assert [process.communicate()[1] for process in started] == [b""] * 3
    found = logged(make_run())
    assert sorted(run.info.run_name for run in found) == names
    for run in found:
        assert [step for step, _ in history(make_run(), run, "loss")] == list(range(100))


def test_a_killed_process_keeps_its_rows_and_its_run_is_running(make_run: MakeRun) -> None:
    run = make_run()
    count = log_until_killed(run, conf(), rows=40)
    (found,) = logged(run)
    assert found.info.status == "RUNNING"
    steps = [step for step, _ in history(run, found, "loss")]
    assert steps == list(range(len(steps)))
    assert count - 30 <= len(steps) <= count


def test_a_folder_of_any_name_has_an_address(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "a?b%25 #ü"
    folder.parent.mkdir(exist_ok=True)
    with _database(folder) as address:
        assert make_url(address).database == str(folder / "mlflow.db")
    assert (folder / "mlflow.db").exists()


def test_mlflow_is_imported_by_the_first_run_and_missing_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    script = f"import sys; from initbench.logger import prepare; prepare({conf()!r}); sys.exit('mlflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
    monkeypatch.setattr("initbench.logger.mlflow.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^logger=mlflow needs MLflow: pip install 'initbench\[mlflow\]'$"):
        prepare(conf())
