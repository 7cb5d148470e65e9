"""The real wandb and its wandb-core, offline or against a stand-in for the server on this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from killing import log_until_killed
from wandb_api import KEY, Api
from wandb_runs import conf, exit_codes, folders, inspect, records, rows

from initbench.logger import RunInfo, close, prepare, summarize
from initbench.logger.wandb import identity

MakeRun = Callable[..., RunInfo]
pytestmark = pytest.mark.usefixtures("wandb_alone")


def test_a_run_holds_its_name_group_tags_config_rows_summary_and_exit_code(
    make_run: MakeRun, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run()
    loggers = prepare(conf(mode="offline"))(run)
    loggers[0].log_metrics({"train/loss": torch.tensor(2.5), "val/accuracy": 0.1}, 0)
    loggers[0].log_metrics({"train/loss": float("nan")}, 50)
    summarize(loggers, {"best_accuracy": 0.9, "status": "diverged"})
    close(loggers, 1)
    close(loggers, 0)  # a second end changes nothing

    assert capfd.readouterr() == ("", "")
    (folder,) = folders(run)
    held = records(folder)
    started = held["run"][0]
    assert started["run_id"] == identity(run)
    assert (started["display_name"], started["run_group"], started["project"]) == (
        "orthogonal",
        "depth",
        "initbench",
    )
    assert sorted(started["tags"]) == ["cpu", "mnist"]
    config = {key: value for key, value in started["config"]["update"].items() if key != "_wandb"}
    assert config == {"seed": 3, "init.name": "orthogonal", "init.gain": None, "optimizer.lr": 0.1}
    first, second = rows(held["history"])
    assert first == {"train/loss": 2.5, "val/accuracy": 0.1, "trainer/global_step": 0}
    assert (second["trainer/global_step"], str(second["train/loss"]).lower()) == (50, "nan")
    axes = {metric["glob_name"]: metric["step_metric"] for metric in held["metric"] if "glob_name" in metric}
    assert axes == {"*": "trainer/global_step"}
    assert exit_codes(held) == [1]
    summary = json.loads(inspect(folder, "--summary"))["summary"]
    assert (summary["best_accuracy"], summary["status"]) == (0.9, "diverged")


def test_the_same_config_in_another_study_or_attempt_is_another_run(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run()
    others = [make_run(attempt=2), make_run(folder=tmp_path / "other" / run.folder.name), make_run("4d5e6f")]
    assert len({identity(other) for other in [run, *others]}) == 4
    assert identity(run) == identity(make_run())  # a resumed run finds itself


def test_a_run_finds_itself_from_whatever_folder_it_is_continued(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    (tmp_path / "linked").symlink_to(run.folder.parent)
    here, link = run.folder.relative_to(tmp_path), tmp_path / "linked" / run.folder.name
    monkeypatch.chdir(tmp_path)
    found = {identity(make_run(folder=here)), identity(make_run(folder=link))}
    monkeypatch.chdir(run.folder)
    found.add(identity(make_run(folder=Path())))
    assert found == {identity(run)}


def test_two_runs_open_at_once_are_two_runs(make_run: MakeRun) -> None:
    first, second = make_run("aaaa"), make_run("bbbb", attempt=2)
    one, two = prepare(conf(mode="offline"))(first), prepare(conf(mode="offline"))(second)
    two[0].log_metrics({"loss": 2.0}, 0)
    one[0].log_metrics({"loss": 1.0}, 0)
    close(one, 0)
    close(two, 0)
    held = [records(*folders(run)) for run in (first, second)]
    assert [record["run"][0]["run_id"] for record in held] == [identity(first), identity(second)]
    assert [row["loss"] for record in held for row in rows(record["history"])] == [1.0, 2.0]
    assert [exit_codes(record) for record in held] == [[0], [0]]


# Lightning 2.6 builds torch's LeafSpec by a name that torch 2.11 deprecates.
@pytest.mark.filterwarnings("ignore:`isinstance\\(treespec, LeafSpec\\)` is deprecated:FutureWarning")
# Two batches need none.
@pytest.mark.filterwarnings("ignore:The '(train|test)_dataloader' does not have many workers")
def test_fit_and_test_share_one_run_that_only_close_ends(make_run: MakeRun) -> None:
    from lightning.pytorch import LightningModule, Trainer

    class Line(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: torch.Tensor) -> torch.Tensor:
            self.logger.log_metrics({"train/loss": 1.0}, self.global_step)
            return self.layer(batch).sum()

        def test_step(self, batch: torch.Tensor) -> None:
            self.logger.log_metrics({"test/accuracy": 0.5}, self.trainer.fit_loop.total_batch_idx)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    run = make_run()
    batches = torch.ones(2, 1)
    loggers = prepare(conf(mode="offline"))(run)
    trainer = Trainer(
        max_epochs=1,
        log_every_n_steps=1,
        logger=loggers,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = Line()
    trainer.fit(model, torch.utils.data.DataLoader(batches))
    trainer.test(model, torch.utils.data.DataLoader(batches[:1]), verbose=False)
    close(loggers, 0)

    held = records(*folders(run))
    assert [row.get("train/loss") for row in rows(held["history"])] == [1.0, 1.0, None]
    assert rows(held["history"])[-1]["test/accuracy"] == 0.5
    assert exit_codes(held) == [0]


def test_a_killed_process_keeps_its_rows(make_run: MakeRun) -> None:
    run = make_run()
    logged = log_until_killed(run, conf(mode="offline"), rows=60)
    held = records(*folders(run))
    assert 0 not in exit_codes(held)
    assert [row["trainer/global_step"] for row in rows(held["history"])] == list(range(len(held["history"])))
    assert logged - 30 <= len(held["history"]) <= logged  # 1 s between flushes is 20 rows


def test_without_a_key_runs_go_offline_and_say_so_once(
    make_run: MakeRun, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run("aaaa"), make_run("bbbb")]
    for run in runs:
        loggers = prepare(conf())(run)
        loggers[0].log_metrics({"loss": 1.0}, 0)
        close(loggers, 0)
    out, err = capfd.readouterr()
    study = runs[0].folder.parent
    expected = f"wandb: offline: no API key (`wandb login`). Upload later: wandb sync {study}/*/wandb/offline-run-*"
    assert (out, err.splitlines()) == ("", [expected])
    assert [len(folders(run)) for run in runs] == [1, 1]
    assert "WANDB_MODE" not in os.environ

    # The command uploads both runs: it is the shell's to expand, and wandb's to carry out.
    with Api.serving() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        command = expected.partition("later: ")[2].replace("wandb", f"{sys.executable} -m wandb", 1)
        subprocess.run(command, shell=True, check=True, capture_output=True, timeout=60, cwd=study)
        assert {key: len(value) for key, value in server.rows.items()} == {identity(run): 1 for run in runs}


def test_online_without_a_key_is_refused_before_there_is_a_run() -> None:
    with pytest.raises(ValueError, match=r"logger\.mode=online, but no API key .* logger\.mode=auto"):
        prepare(conf(mode="online"))


def test_online_the_server_gets_the_run(make_run: MakeRun, api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    run = make_run()
    loggers = prepare(conf())(run)
    for step in range(3):
        loggers[0].log_metrics({"loss": 1 / (step + 1)}, step)
    close(loggers, 3)
    sent = api.runs[identity(run)]
    assert (sent["groupName"], sent["displayName"], sent["project"]) == ("depth", "orthogonal", "initbench")
    assert json.loads(sent["config"])["init.name"]["value"] == "orthogonal"
    assert [row["trainer/global_step"] for row in api.rows[identity(run)]] == [0, 1, 2]
    assert api.exit_codes == {identity(run): 3}
    assert capfd.readouterr() == ("", "")


def test_resume_is_asked_for_only_when_a_checkpoint_is_continued(make_run: MakeRun) -> None:
    for resumed in (False, True):
        loggers = prepare(conf(mode="offline"))(make_run(resumed=resumed))
        assert loggers[0].experiment.settings.resume == ("allow" if resumed else None)
        close(loggers, 0)


@pytest.mark.parametrize("mode", ["disabled", "offline"])
def test_the_environment_decides_the_mode(
    mode: str, make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", mode)
    run = make_run()
    loggers = prepare(conf(mode="online"))(run)
    loggers[0].log_metrics({"loss": 1.0}, 0)
    close(loggers, 0)
    assert len(folders(run)) == (mode == "offline")
    assert capfd.readouterr() == ("", "")


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown logger\.mode 'ofline'\. Did you mean 'offline'\?"):
        prepare(conf(mode="ofline"))
    with pytest.raises(ValueError, match=r"logger\.finish_timeout_s must be a number above 0, got 0"):
        prepare(conf(finish_timeout_s=0))


def test_names_over_wandbs_limits_are_cut_and_told_apart_and_the_run_is_logged(
    make_run: MakeRun, api: Api, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_JOB_TYPE", "j" * 100)
    run = make_run(
        study="s" * 300,
        name="n" * 300 + "\x1b[31m",
        tags=["t" * 99 + "a", "t" * 99 + "b", "", "short", "short"],
        config={"init": {"k" * 300 + "a": 1, "k" * 300 + "b": 2}},
    )
    loggers = prepare(conf())(run)
    loggers[0].log_metrics({"loss": 1.0}, 0)
    close(loggers, 0)
    assert capfd.readouterr() == ("", "")
    sent = api.runs[identity(run)]
    assert [len(sent[key]) for key in ("groupName", "displayName", "jobType")] == [128, 128, 64]
    assert sent["groupName"].startswith("s" * 100)
    assert sorted(map(len, sent["tags"])) == [5, 64, 64]
    assert len(set(sent["tags"])) == 3
    assert len([key for key in json.loads(sent["config"]) if key.startswith("init.k")]) == 2
    assert len(api.rows[identity(run)]) == 1


@pytest.mark.parametrize("project", ["p" * 129, "a/b", "a%b"])
def test_a_project_that_wandb_refuses_is_refused_before_there_is_a_run(project: str) -> None:
    with pytest.raises(ValueError, match=r"logger\.project must "):
        prepare(conf(project=project))


def test_inside_wandb_agent_each_run_keeps_its_own_id(
    make_run: MakeRun, api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An agent names one run by the environment, which all runs of a sweep of ours would write into."""
    (tmp_path / "sweep.yaml").write_text("wandb_version: 1\nseed:\n  value: 99\n")
    agent = {"WANDB_RUN_ID": "theirs", "WANDB_SWEEP_ID": "5weep", "WANDB_RUN_GROUP": "group", "WANDB_NAME": "theirs"}
    agent |= {"WANDB_SWEEP_PARAM_PATH": str(tmp_path / "sweep.yaml"), "WANDB_PROJECT": "theirs", "WANDB_RESUME": "must"}
    for name, value in agent.items():
        monkeypatch.setenv(name, value)
    runs = [make_run("aaaa"), make_run("bbbb")]
    for run in runs:
        loggers = prepare(conf())(run)
        loggers[0].log_metrics({"loss": 1.0}, 0)
        close(loggers, 0)
    assert {key: len(rows) for key, rows in api.rows.items()} == {identity(run): 1 for run in runs}
    for run in runs:
        sent = api.runs[identity(run)]
        assert (sent["groupName"], sent["displayName"], sent["project"]) == ("depth", "orthogonal", "initbench")
        assert json.loads(sent["config"])["seed"]["value"] == 3
    assert {name: os.environ[name] for name in agent} == agent  # they are the user's


def test_secrets_of_the_command_line_are_not_sent(make_run: MakeRun, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["initbench", "data.token=s3cr3t-v4lue", "seed=0"])
    run = make_run()
    loggers = prepare(conf())(run)
    loggers[0].log_metrics({"loss": 1.0}, 0)
    close(loggers, 0)
    assert sys.argv[1] == "data.token=s3cr3t-v4lue"
    everything = [path.read_bytes() for path in run.folder.rglob("*") if path.is_file()]
    everything += [*api.files.values(), json.dumps(api.runs).encode()]
    assert not [part for part in everything if b"s3cr3t-v4lue" in part]
