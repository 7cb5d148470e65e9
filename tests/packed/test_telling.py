"""The loggers of packed runs, told from the records by a process of their own."""

import csv
import signal
from pathlib import Path
from typing import Any

import pytest
from packs import configs

from initbench.packed.telling import Telling, tell
from initbench.packed.train import train_pack
from initbench.record import untold
from initbench.record.store import Store, read_table
from initbench.training.run import run


@pytest.fixture
def ended(tmp_path: Path) -> list[Store]:
    """The runs of a pack that has been trained, and whose loggers have not been told."""
    runs = configs(tmp_path, "model=mlp", "trainer.max_steps=4", "logger=csv", seeds=1)
    train_pack(runs)
    return [Store(config) for config in runs]


def told(store: Store) -> list[dict[str, Any]]:
    with (store.folder / "csv" / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_it_tells_what_the_record_says_and_once(ended: list[Store]) -> None:
    store = ended[0]
    assert untold.is_marked(store.folder)
    assert not (store.folder / "csv").exists()
    tell(store.config)
    assert not untold.is_marked(store.folder)
    history = read_table(store.folder, "history").to_pylist()
    rows = told(store)
    assert [int(row["step"]) for row in rows] == [row["step"] for row in history]
    for row, recorded in zip(rows, history, strict=True):
        assert {key: float(value) for key, value in row.items() if value and key != "step"} == pytest.approx(
            {
                key: value
                for key, value in recorded.items()
                if value is not None and key not in ("step", "epoch", "seconds")
            }
        )
    (store.folder / "csv" / "metrics.csv").unlink()
    tell(store.config)
    assert not (store.folder / "csv" / "metrics.csv").exists()


def test_a_new_attempt_has_nothing_left_to_tell(ended: list[Store]) -> None:
    run({**ended[0].config, "force": True})  # which logs as it trains
    assert not untold.is_marked(ended[0].folder)
    rows = told(ended[0])
    tell(ended[0].config)
    assert told(ended[0]) == rows


def test_what_keeps_a_run_from_being_told_is_said(ended: list[Store], capsys: pytest.CaptureFixture[str]) -> None:
    (ended[0].folder / "untold").unlink()
    (ended[0].folder / "untold").mkdir()  # a mark that cannot be removed
    tell(ended[0].config)
    assert "is not all in its logger: Unwritable" in capsys.readouterr().err


def test_runs_without_loggers_start_no_process(tmp_path: Path) -> None:
    runs = configs(tmp_path, "model=mlp", "trainer.max_steps=4", "logger=none", seeds=1)
    telling = Telling()
    telling.start(map(Store, runs))
    train_pack(runs)
    telling.add(map(Store, runs))
    assert telling.process is None
    telling.finish()


def test_what_a_killed_process_has_not_told_the_next_one_does(ended: list[Store]) -> None:
    telling = Telling()
    telling.start(ended)
    assert telling.process is not None
    telling.process.send_signal(signal.SIGKILL)
    telling.process.wait()
    telling.add(ended)  # nobody reads it
    telling.finish()
    assert all(untold.is_marked(store.folder) for store in ended)
    following = Telling()
    following.add(ended)
    following.finish()
    assert all(told(store) and not untold.is_marked(store.folder) for store in ended)


@pytest.mark.slow
def test_each_run_of_a_pack_is_a_run_of_mlflow(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra `mlflow`")
    from mlflow import MlflowClient

    runs = told_by_a_process(tmp_path, "mlflow")
    client = MlflowClient(f"sqlite:///{runs[0].folder.parent}/mlflow/mlflow.db")
    found = client.search_runs([client.get_experiment_by_name("main").experiment_id])
    for store in runs:
        (same,) = [one for one in found if one.info.run_name == store.name]
        assert (same.info.status, same.data.tags["status"]) == ("FINISHED", "finished")
        (last,) = [row.step for row in client.get_metric_history(same.info.run_id, "test/accuracy")]
        assert last == 4


def test_each_run_of_a_pack_is_a_run_of_trackio(tmp_path: Path, trackio_alone: Path) -> None:
    from trackio import Api

    runs = told_by_a_process(tmp_path, "trackio")
    found = {run.name: run.config for run in Api().runs("main")}
    assert {name: (held["init.name"], held["status"]) for name, held in found.items()} == {
        run.name: (run.config["init"]["name"], "finished") for run in runs
    }


def told_by_a_process(tmp_path: Path, name: str) -> list[Store]:
    runs = configs(tmp_path, "model=mlp", "trainer.max_steps=4", f"logger={name}", seeds=1)
    train_pack(runs)
    telling = Telling()
    telling.add(map(Store, runs))
    telling.finish()
    assert len(runs) > 1
    return [Store(config) for config in runs]
