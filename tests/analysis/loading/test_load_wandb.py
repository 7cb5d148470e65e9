"""Runs that initbench trained and the real wandb-core uploaded, read back over HTTP from a stand-in for its server."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import wandb
from configs import compose_config
from wandb_server import Server

import initbench
from initbench.analysis.loading.frame import load_history
from initbench.analysis.loading.wandb_records import _Held, history, load_wandb, nested
from initbench.logger import RunInfo
from initbench.training.run import run
from initbench.wandb_client import split_path

pytestmark = pytest.mark.usefixtures("wandb_alone")
PATH = "someone/initbench"
# What wandb has not: when and where, and what the run did not send.
_ELSEWHERE = [
    "path",
    "host",
    "started_at",
    "finished_at",
    "command",
    "commit",
    "device",
    "processor",
    "torch",
    "seconds_seen",
]


@pytest.fixture
def train(server: Server, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Trains an MLP of eight steps, with its record under tmp_path/runs and its mirror on the server."""

    def make(*overrides: str) -> dict[str, Any]:
        small = ["model=mlp", "data.val_every_n_steps=4", "trainer.max_steps=8", "trainer.log_every_n_steps=2"]
        fixed = [f"runs_dir={tmp_path}/runs", "trainer.accelerator=cpu", "logger=wandb", "logger.mode=online"]
        # Hydra takes a key once: the last word is a test's.
        words = {word.partition("=")[0]: word for word in [*small, *fixed, *overrides]}
        record = run(compose_config(*words.values()))
        assert record is not None
        return record

    return make


def clone(server: Server, source: str, name: str, **changes: Any) -> None:
    """Another run on the server, with the rows of `source` and `changes` of its config."""
    config = json.loads(server.runs[source]["config"])
    config |= {key.replace("__", "."): {"value": value} for key, value in changes.items()}
    server.runs[name] = {**server.runs[source], "name": name, "config": json.dumps(config)}
    server.rows[name], server.summaries[name] = server.rows[source], server.summaries[source]
    if source in server.exit_codes:
        server.exit_codes[name] = server.exit_codes[source]


def test_the_frame_and_the_histories_are_those_of_the_local_records(
    train: Callable[..., dict[str, Any]], server: Server, tmp_path: Path
) -> None:
    long = ["trainer.max_steps=560", "trainer.log_every_n_steps=1", "data.batch_size=16", "trainer.max_epochs=99"]
    train("data.targets=[0.05,0.99]", *long, "data.val_every_n_steps=100")
    train("init=orthogonal", "init.gain=2", "seed=1")
    diverged = train("optimizer=sgd", "optimizer.lr=1e30")
    assert diverged["status"] == "diverged"

    local, fetched = initbench.load_runs(tmp_path / "runs"), load_wandb(PATH, folder=tmp_path / "fetched")
    assert sorted(fetched["status"]) == ["diverged", "finished", "finished"]
    both = [frame.set_index("signature").sort_index() for frame in (local, fetched)]
    dropped = [column for column in _ELSEWHERE if column in local]
    ours, theirs = (frame.drop(columns=dropped) for frame in both)
    pd.testing.assert_frame_equal(ours, theirs[ours.columns], check_dtype=False)
    # A target that was not reached was not until the end, at least of the last evaluation; wandb has that of training.
    at_end = theirs["seconds_init"] + theirs["seconds_train"]
    assert both[1]["seconds_seen"].tolist() == pytest.approx(at_end.tolist(), abs=1e-9)
    assert (both[0]["seconds_seen"] <= at_end + 1e-6).all()

    lengths = []
    for path, fetched_path in zip(*(frame["path"] for frame in both), strict=True):
        rows = load_history(path).drop(columns=["epoch", "seconds"])
        pd.testing.assert_frame_equal(rows, load_history(fetched_path)[rows.columns], check_dtype=False)
        lengths.append(len(rows))
        ours_of_run, theirs_of_run = (
            json.loads((Path(folder) / "record.json").read_bytes()) for folder in (path, fetched_path)
        )
        assert theirs_of_run["config"] == ours_of_run["config"]
    assert max(lengths) == 561  # a sample of wandb's would have 500


def test_exported_rows_and_rows_that_are_still_live_are_one_history(
    train: Callable[..., dict[str, Any]], server: Server, tmp_path: Path
) -> None:
    record = train()
    (run_id,) = server.runs
    server.exported[run_id] = 3
    assert len(server.rows[run_id]) > 5
    load_wandb(PATH, folder=tmp_path / "fetched")
    (file,) = (tmp_path / "fetched").glob("*/history.parquet")
    rows = load_history(file.parent)
    assert list(rows["step"]) == [0, 2, 4, 6, 8]
    assert rows["val/accuracy"].iloc[-1] == record["results"]["val/accuracy"]
    assert "RunParquetHistory" in server.asked


def test_all_pages_of_runs_are_read_once(
    train: Callable[..., dict[str, Any]], server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train()
    (source,) = server.runs
    for seed in range(1, 60):
        clone(server, source, f"clone-{seed}", seed=seed)
    clone(server, source, "unfinished", seed=99)
    del server.exit_codes["unfinished"]
    server.summaries["unfinished"] = {}
    server.runs["theirs"] = {**server.runs[source], "name": "theirs", "config": '{"lr": {"value": 1}}'}
    server.runs["ours"] = {**server.runs["theirs"], "name": "ours", "jobType": "summary"}
    server.exit_codes |= {"theirs": 0, "ours": 0}

    runs = load_wandb(PATH, folder=tmp_path / "fetched")
    assert sorted(runs["seed"]) == [*range(60), 99]
    assert runs.set_index("seed")["status"].value_counts().to_dict() == {"finished": 60, "running": 1}
    assert server.asked.count("Runs") == 2
    assert "skipped 1 of 62 runs of someone/initbench" in capsys.readouterr().out

    # Again: the list, and the one that had not ended.
    server.asked.clear()
    server.exit_codes["unfinished"] = 0
    server.summaries["unfinished"] = server.summaries[source]
    again = load_wandb(PATH, folder=tmp_path / "fetched")
    assert set(again["status"]) == {"finished"}
    assert (server.asked.count("Runs"), server.asked.count("HistoryPage")) == (2, 1)
    server.asked.clear()
    load_wandb(PATH, folder=tmp_path / "fetched")
    assert "HistoryPage" not in server.asked

    assert list(load_wandb(PATH, {"group": "none"}, tmp_path / "none")["seed"]) == []


def test_the_latest_attempt_that_ended_is_the_record(
    train: Callable[..., dict[str, Any]], server: Server, tmp_path: Path
) -> None:
    train()
    (source,) = server.runs
    for attempt, exit_code in ((2, 0), (3, 1)):
        clone(server, source, f"{source[:-1]}{attempt}")
        server.exit_codes[f"{source[:-1]}{attempt}"] = exit_code
    server.summaries[f"{source[:-1]}3"] = {}
    (row,) = load_wandb(PATH, folder=tmp_path / "fetched").itertuples()
    record = json.loads((Path(str(row.path)) / "record.json").read_bytes())
    assert (record["status"], record["attempt"], record["wandb"]["id"]) == ("finished", 2, f"{source[:-1]}2")
    assert set(record["wandb"]["attempts"].values()) == {"finished", "failed"}
    server.asked.clear()
    load_wandb(PATH, folder=tmp_path / "fetched")
    assert "Run" not in server.asked  # the losers are known, too


def test_a_record_made_here_is_left_as_it_is(train: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    train()
    (file,) = (tmp_path / "runs").glob("*/*/record.json")
    before = file.read_bytes()
    load_wandb(PATH, folder=file.parent.parent)
    assert file.read_bytes() == before


def test_a_config_survives_being_flattened() -> None:
    config = compose_config("init=orthogonal", "+init.extra={a: {}, b: [{c: 1}], d: null}")
    flat = RunInfo(Path(), "", "", [], config, "", 1, False).flat_config
    assert nested(flat) == config


def test_rows_of_a_step_are_joined_and_what_was_logged_again_counts() -> None:
    logged = [
        {"_step": 0, "trainer/global_step": 0, "val/loss": "NaN", "val/accuracy": None},
        {"_step": 1, "trainer/global_step": 4, "train/loss": 1.0},
        {"_step": 2, "trainer/global_step": 6, "train/loss": "Infinity"},
        {"_step": 3, "trainer/global_step": 4, "train/loss": 2.0, "picture": {"_type": "image-file"}},
        {"_step": 4, "trainer/global_step": 4, "val/loss": 3.0},
        {"_step": 5, "system": 1},
    ]
    first, second, third = history(logged)
    assert first.keys() == {"step", "val/loss"}
    assert first["val/loss"] != first["val/loss"]
    assert second == {"step": 4, "train/loss": 2.0, "val/loss": 3.0}
    assert third == {"step": 6, "train/loss": float("inf")}


@pytest.mark.parametrize("path", ["initbench", "a/b/c", "", "/initbench", "someone/", "some one/x"])
def test_a_path_is_entity_and_project(path: str) -> None:
    with pytest.raises(ValueError, match="give entity/project"):
        load_wandb(path)
    assert split_path("my-team/a project") == ("my-team", "a project")


def test_without_a_key_or_a_server_one_line_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^no API key: `wandb login`"):
        load_wandb(PATH, folder=tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"^http://127.0.0.1:\d+ does not answer \(connection refused\)$"):
        load_wandb(PATH, folder=tmp_path)
    assert time.perf_counter() - start < 60
    monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(ValueError, match="WANDB_MODE=offline"):
        load_wandb(PATH, folder=tmp_path)


@pytest.mark.parametrize(
    "status, words",
    [
        (401, "does not accept the API key"),
        (403, "does not allow it"),
        (404, "no such place"),
        (500, "fails .HTTP 500"),
    ],
)
def test_what_a_server_refuses_is_one_line(status: int, words: str, server: Server, tmp_path: Path) -> None:
    server.status = status
    with pytest.raises(ValueError, match=f"^{server.url} .*{words}") as raised:
        load_wandb(PATH, folder=tmp_path)
    assert "\n" not in str(raised.value)


def test_a_project_that_is_not_there_is_one_line(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^there is no project 'someone/initbench'"):
        load_wandb(PATH, folder=tmp_path)


def test_a_server_that_dies_in_the_middle_costs_only_what_was_not_read(
    train: Callable[..., dict[str, Any]], server: Server, tmp_path: Path
) -> None:
    train()
    (source,) = server.runs
    for seed in (1, 2):
        clone(server, source, f"clone-{seed}", seed=seed)
    server.dies_at = ("HistoryPage", 1)
    start = time.perf_counter()
    with pytest.raises(ValueError, match="does not answer"):
        load_wandb(PATH, folder=tmp_path / "fetched")
    assert time.perf_counter() - start < 60
    assert len(initbench.load_runs(tmp_path / "fetched")) == 1
    server.dies_at, server.dead = None, False
    assert sorted(load_wandb(PATH, folder=tmp_path / "fetched")["seed"]) == [0, 1, 2]


def test_the_patience_ends_with_the_question(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no project"):
        load_wandb(PATH, folder=tmp_path)
    assert wandb.setup().settings.x_graphql_retry_max == 20  # wandb-core's own


@pytest.mark.parametrize(
    "state, known, is_held",
    [
        ("finished", "finished", True),
        ("crashed", "crashed", True),
        ("running", "running", False),  # it may have sent more since
        ("finished", "running", False),
        ("finished", None, False),
    ],
)
def test_only_what_had_ended_is_not_read_again(state: str, known: str | None, is_held: bool) -> None:
    held = _Held(states={} if known is None else {"abc": known})
    assert held.has(SimpleNamespace(id="abc", state=state)) is is_held
