"""One run of a loop, in this process: what it may return, and what the record says of it."""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from initbench.loop.run import Run, Train, run
from initbench.metric import metric_named
from initbench.record.own import own_config
from initbench.record.store import Store

ERROR = metric_named("error", False)


def job(train: Train, folder: Path, init: Any = "ones", seed: int = 0) -> Run:
    return Run(train, init, own_config("loop", init, seed, ERROR, study="own", runs_dir=folder), ERROR)


def made(returned: Any, folder: Path) -> dict[str, Any]:
    """The record of a loop that returns this."""

    def train(initialize: Any, seed: int) -> Any:
        initialize(nn.Linear(2, 2))
        return returned

    record: dict[str, Any] = run(job(train, folder))._return_value
    return record


def history(folder: Path) -> pd.DataFrame:
    (path,) = folder.glob("own/*/history.parquet")
    return pd.read_parquet(path)


@pytest.mark.parametrize(
    "rows, steps, total",
    [
        ([{"error": 3.0}, {"error": 2.0}, {"error": 1.0}], [0, 1, 2], 2),
        ([{"error": 3.0, "step": 10}, {"error": 1.0, "step": 20.0}], [10, 20], 20),
        ([{"accuracy": 0.5, "step": torch.tensor(5)}, {"error": np.float64(1.0), "step": np.int64(7)}], [5, 7], 7),
        ({"error": 1.0, "step": 4}, [4], 4),
        ({"error": 1.0}, [0], None),
        (1, [0], None),
        (torch.ones(()), [0], None),
        (np.array(1.0), [0], None),
    ],
    ids=str,
)
def test_rows_have_the_steps_that_they_name_or_are_numbered(
    rows: Any, steps: list[int], total: int | None, tmp_path: Path
) -> None:
    record = made(rows, tmp_path)
    assert (record["status"], record["results"]["test/error"], record["total_steps"]) == ("finished", 1.0, total)
    found = history(tmp_path)
    assert found["step"].tolist() == steps
    assert found["val/error"].iloc[-1] == 1.0


@pytest.mark.parametrize(
    "returned, said",
    [
        (True, "train has to return error as a number, a mapping with it, or a list of such mappings, got True"),
        (None, "or a list of such mappings, got None"),
        ([], r"or a list of such mappings, got \[\]"),
        ("1.0", "or a list of such mappings, got '1.0'"),
        ([1.0], "train returned a list with 1.0, which is no mapping"),
        ([{"error": 1.0}, 2.0], "train returned a list with 2.0, which is no mapping"),
        ([{"error": 1.0}, {"accuracy": 1.0}], "train returned no 'error' at the end, but accuracy"),
        ([{"error": 1.0}, {}], "train returned no 'error' at the end, but nothing"),
        ({"error": 1.0, "other": "x"}, "train returned 'x' for other, which is no number"),
        ({"error": torch.ones(2)}, "for error, which is no number"),
        ({"error": 1.0, "step": 1.5}, "train returned step=1.5, which is no whole number"),
    ],
    ids=str,
)
def test_what_is_no_score_is_refused_in_the_record(returned: Any, said: str, tmp_path: Path) -> None:
    record = made(returned, tmp_path)
    assert record["status"] == "refused"
    assert re.search(said, record["reason"])


def test_the_time_that_initializing_takes_is_not_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr("time.perf_counter", lambda: now)

    def slow_(tensor: torch.Tensor) -> None:
        nonlocal now
        now += 3
        tensor.fill_(1.0)

    def train(initialize: Any, seed: int) -> float:
        nonlocal now
        now += 5
        for _ in range(2):
            initialize(nn.Linear(2, 2, bias=False))
        now += 1
        return 1.0

    record = run(job(train, tmp_path, slow_))._return_value
    assert (record["seconds_init"], record["seconds_train"]) == (6, 6)


def test_each_generator_and_the_initializer_have_the_seed_of_the_run(tmp_path: Path) -> None:
    seen = []

    def train(initialize: Any, seed: int) -> float:
        seen.append((seed, torch.rand(()).item(), np.random.rand(), initialize(nn.Linear(3, 3)).weight.sum().item()))  # noqa: NPY002 - what users call
        return 1.0

    for number, folder in ((3, "a"), (3, "b"), (4, "c")):
        run(job(train, tmp_path / folder, "normal", number))
    assert seen[0] == seen[1]
    assert seen[0][0] == 3
    assert not set(seen[0]) & set(seen[2])


def test_a_run_that_is_complete_is_not_made_again(tmp_path: Path) -> None:
    first = made(1.0, tmp_path)
    again = made(2.0, tmp_path)
    assert again["results"]["test/error"] == first["results"]["test/error"] == 1.0


def test_what_a_loop_prints_is_in_the_log_and_where_it_goes_it_comes_back_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()

    def train(initialize: Any, seed: int) -> float:
        print("half way \ud800")
        os.chdir(tmp_path)
        initialize(nn.Linear(2, 2))
        return 1.0

    one = job(train, tmp_path)
    run(one)
    assert Path.cwd() == here
    assert capsys.readouterr().out == ""
    assert "half way \\ud800" in (Store(one.config).folder / "log.txt").read_text()


def test_a_loop_that_initializes_nothing_is_refused_though_it_has_a_score(tmp_path: Path) -> None:
    record = run(job(lambda initialize, seed: 1.0, tmp_path))._return_value
    assert record["status"] == "refused"
    assert record["reason"].endswith("has to call initialize(model) on the model that it trains")


def test_a_loop_of_no_number_at_the_end_diverged(tmp_path: Path) -> None:
    record = made([{"error": 1.0}, {"error": float("nan")}], tmp_path)
    assert (record["status"], record["reason"]) == ("diverged", "error is nan at the end")
