"""Every conf/logger/*.yaml, and what all loggers share."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from lightning.pytorch.loggers import CSVLogger

import initbench
from initbench.logger import RunInfo, close, prepare, summarize

MakeRun = Callable[..., RunInfo]
FILES = sorted((initbench.CONF / "logger").glob("*.yaml"))
EXTRAS = ("mlflow", "tensorboard", "trackio")


def log(name: str, run: RunInfo, steps: range) -> None:
    """A run as the run code makes it, with Lightning's own `finalize` after fit and after test."""
    loggers = prepare(yaml.safe_load((initbench.CONF / "logger" / f"{name}.yaml").read_text()))(run)
    try:
        for logger in loggers:
            for step in steps:
                logger.log_metrics({"train/loss": 1 / (step + 1)}, step)
            logger.finalize("success")
            logger.log_metrics({"test/accuracy": 0.5}, steps.stop)
            logger.finalize("success")
        summarize(loggers, {"best_accuracy": 0.9, "status": "finished"})
    finally:
        close(loggers, 0)


def table(run: RunInfo) -> list[dict[str, str]]:
    with (run.folder / "csv" / "metrics.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_choice_logs_a_run_into_its_place_only(
    file: Path,
    make_run: MakeRun,
    wandb_alone: None,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if file.stem in EXTRAS:
        pytest.importorskip(file.stem, reason=f"needs the extra `{file.stem}`")
    if file.stem in ("mlflow", "trackio"):
        request.getfixturevalue(f"{file.stem}_alone")
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    run = make_run()
    log(file.stem, run, range(3))
    assert yaml.safe_load(file.read_text())["name"] == file.stem
    assert list(here.iterdir()) == []
    # The runs of a study share a database of MLflow. Trackio has one for each project in a place of its own.
    where = {"none": None, "mlflow": run.folder.parent, "trackio": tmp_path}.get(file.stem, run.folder)
    found = [path for folder in (run.folder, run.folder.parent, tmp_path) for path in folder.glob(file.stem)]
    assert found == ([] if where is None else [where / file.stem])
    assert len([*run.folder.iterdir()]) == (where == run.folder)
    assert len([*run.folder.parent.iterdir()]) == 1 + (where == run.folder.parent)


def test_the_package_is_light() -> None:
    heavy = "{'wandb', 'mlflow', 'trackio', 'lightning', 'torch', 'hydra'} & sys.modules.keys()"
    script = f"import sys; import initbench.logger; sys.exit(str(sorted({heavy})) if {heavy} else 0)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_flat_config_joins_keys_with_dots_and_keeps_lists_and_empty_groups(make_run: MakeRun) -> None:
    config = {
        "init": {"rules": [{"match": "fc"}], "bias": {"normal": {"std": 1}}},
        "diagnostics": {},
        "seed": 0,
    }
    assert make_run(config=config).flat_config == {
        "init.rules": [{"match": "fc"}],
        "init.bias.normal.std": 1,
        "diagnostics": {},
        "seed": 0,
    }


def test_csv_has_a_row_per_step_and_a_column_per_metric(make_run: MakeRun) -> None:
    run = make_run()
    log("csv", run, range(2))
    assert table(run) == [
        {"step": "0", "train/loss": "1.0", "test/accuracy": ""},
        {"step": "1", "train/loss": "0.5", "test/accuracy": ""},
        {"step": "2", "train/loss": "", "test/accuracy": "0.5"},
    ]


@pytest.mark.parametrize("resumed, steps", [(True, ["0", "1", "2", "3", "4"]), (False, ["2", "3", "4"])])
def test_csv_rows_survive_a_resumed_run_and_not_a_fresh_attempt(
    resumed: bool, steps: list[str], make_run: MakeRun
) -> None:
    logger = prepare({"_target_": "initbench.logger.csv.metrics_file"})(make_run())[0]
    for step in range(2):  # and then the process is killed: no finalize, no close
        logger.log_metrics({"train/loss": 1.0}, step)
    run = make_run(resumed=resumed)
    log("csv", run, range(2, 4))
    assert [row["step"] for row in table(run)] == steps


@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not installed")
@pytest.mark.parametrize("resumed, steps", [(True, [0, 1, 2, 3]), (False, [2, 3])])
def test_tensorboard_holds_scalars_and_final_numbers(resumed: bool, steps: list[int], make_run: MakeRun) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log("tensorboard", make_run(), range(2))
    run = make_run(resumed=resumed)
    log("tensorboard", run, range(2, 4))
    events = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == steps
    assert events.Scalars("best_accuracy")[-1].value == pytest.approx(0.9)
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_tensorboard_missing_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initbench.logger.tensorboard.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'initbench\[tensorboard\]'"):
        prepare({"_target_": "initbench.logger.tensorboard.event_files"})


@pytest.mark.parametrize("name, file", [("csv", "csv/metrics.csv"), ("tensorboard", "tensorboard/events.*")])
def test_ranks_of_another_program_do_not_keep_a_run_from_writing(name: str, file: str, tmp_path: Path) -> None:
    """Inside a SLURM job with several tasks, or under mpirun or torchrun, where each task makes a run of its own."""
    if name == "tensorboard":
        pytest.importorskip("tensorboard", reason="needs the extra `tensorboard`")
    ranks = dict.fromkeys(("RANK", "LOCAL_RANK", "SLURM_PROCID", "SLURM_LOCALID", "JSM_NAMESPACE_RANK"), "2")
    ranks |= {"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "SLURM_NTASKS": "4", "SLURM_JOB_ID": "7", "GROUP_RANK": "1"}
    ranks |= {"SLURM_JOB_NAME": "job", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1", "TORCHELASTIC_RUN_ID": "x"}
    command = [sys.executable, "-m", "initbench", f"logger={name}", "model=mlp", "trainer.accelerator=cpu"]
    command += ["trainer.max_steps=6", "trainer.log_every_n_steps=2", "checkpoint_seconds=0"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **ranks}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (folder,) = (path.parent for path in tmp_path.glob("runs/main/*/record.json"))
    assert list(folder.glob(file))
    assert (folder / "history.parquet").exists()


@pytest.mark.parametrize("exit_code, status", [(0, "success"), (1, "failed"), (143, "failed")])
def test_a_logger_of_lightnings_own_is_told_how_the_run_ended(tmp_path: Path, exit_code: int, status: str) -> None:
    class Told(CSVLogger):
        statuses: list[str] = []  # noqa: RUF012 - of one instance

        def finalize(self, status: str) -> None:
            self.statuses.append(status)

    close([Told(tmp_path)], exit_code)
    assert Told.statuses == [status]
