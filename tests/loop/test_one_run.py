"""One run of a training loop of the user's own, in this process: its record, its clocks, and what it may return."""

import json
import random
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from initbench.loop import run as loop
from initbench.loop.run import Run, run
from initbench.metric import Metric, metric_named
from initbench.record.life import claimed
from initbench.record.lock import lock
from initbench.record.own import own_config
from initbench.record.store import Store, read_table

ERROR = metric_named("error", higher_is_better=False)


def one(
    folder: Path, train: Callable[..., Any], init: Any = "xavier_normal", seed: int = 3, metric: Metric = ERROR
) -> Run:
    return Run(train, init, own_config("loop", init, seed, metric, study="s", runs_dir=folder), metric)


def made(wanted: Run) -> dict[str, Any]:
    record = run(wanted)._return_value
    assert isinstance(record, dict)
    path = Store(wanted.config).folder / "record.json"
    assert json.loads(path.read_text())["status"] == record["status"]
    return record


def returning(value: Any) -> Callable[..., Any]:
    def train(initialize: Any, seed: int) -> Any:
        initialize(nn.Linear(3, 2))
        return value

    return train


def history(wanted: Run) -> list[dict[str, Any]]:
    table = read_table(Store(wanted.config).folder, "history")
    assert table is not None
    rows = [{key: value for key, value in row.items() if value is not None} for row in table.to_pylist()]
    return [{key: row[key] for key in row if key == "step" or key.startswith("val/")} for row in rows]


@pytest.mark.parametrize(
    "value, rows",
    [
        (0.5, [{"step": 0, "val/error": 0.5}]),
        (torch.tensor(0.5), [{"step": 0, "val/error": 0.5}]),
        ({"error": 0.5, "size": 7}, [{"step": 0, "val/error": 0.5, "val/size": 7.0}]),
        (
            [{"error": 0.75}, {"size": 1}, {"error": torch.tensor([0.5], requires_grad=True)}],
            [{"step": 0, "val/error": 0.75}, {"step": 1, "val/size": 1.0}, {"step": 2, "val/error": 0.5}],
        ),
        (
            [{"error": 0.75, "step": 10}, {"error": 0.5, "step": 30.0}],
            [{"step": 10, "val/error": 0.75}, {"step": 30, "val/error": 0.5}],
        ),
    ],
)
def test_what_a_loop_returns_is_its_history_and_the_last_counts(
    value: Any, rows: list[dict[str, float]], tmp_path: Path
) -> None:
    wanted = one(tmp_path, returning(value))
    record = made(wanted)
    assert history(wanted) == rows
    assert record["results"]["test/error"] == 0.5
    assert (record["total_steps"] or 0) == rows[-1]["step"]
    assert (record["init"], record["seed"], record["status"]) == ("xavier_normal", 3, "finished")


@pytest.mark.parametrize(
    "value, said",
    [
        (None, "train has to return error as a number, a mapping with it, or a list of such mappings, got None"),
        (True, "train has to return error as a number, a mapping with it, or a list of such mappings, got True"),
        ("0.5", "train has to return error as a number, .* got '0.5'"),
        ([], r"train has to return error as a number, .* got \[\]"),
        ([0.5], "train returned a list with 0.5, which is no mapping"),
        ({"loss": 1.0, "size": 2}, "train returned no 'error' at the end, but loss, size"),
        ([{"error": 1.0}, {}], "train returned no 'error' at the end, but nothing"),
        ({"error": "low"}, "train returned 'low' for error, which is no number"),
        ({"error": torch.zeros(2)}, "train returned .* for error, which is no number"),
        ({"error": 1.0, "step": 2.5}, "train returned step=2.5, which is no whole number"),
    ],
)
def test_what_is_no_score_is_the_reason_of_a_run(value: Any, said: str, tmp_path: Path) -> None:
    record = made(one(tmp_path, returning(value)))
    assert record["status"] == "refused"
    assert re.search(said, record["reason"])


def test_a_score_that_is_no_number_is_a_divergence(tmp_path: Path) -> None:
    record = made(one(tmp_path, returning(float("nan"))))
    assert (record["status"], record["reason"]) == ("diverged", "error is nan at the end")
    assert "test/error" not in record["results"]


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

    record = made(one(tmp_path, train, slow_))
    assert (record["seconds_init"], record["seconds_train"]) == (6, 6)


def test_the_seed_is_that_of_the_run_and_generators_are_seeded_before_the_call(tmp_path: Path) -> None:
    seen = []

    def train(initialize: Any, seed: int) -> float:
        initialize(nn.Linear(3, 2))
        seen.append((seed, torch.rand(()).item(), random.random(), np.random.rand()))  # noqa: NPY002 - as users do
        return 1.0

    torch.rand(7)
    made(one(tmp_path, train, seed=11))
    made(one(tmp_path, train, "zeros", seed=11))
    made(one(tmp_path, train, seed=12))
    assert seen[0] == seen[1]
    torch.manual_seed(11)
    nn.Linear(3, 2)  # draws too, and what initializes it does not
    assert seen[0][:2] == (11, torch.rand(()).item())
    assert seen[2][0] == 12
    assert not set(seen[2]) & set(seen[0])


def test_what_is_printed_is_in_the_log_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def train(initialize: Any, seed: int) -> float:
        initialize(nn.Linear(3, 2))
        print("ünder way \udcff")
        return 1.0

    wanted = one(tmp_path, train)
    made(wanted)
    assert "ünder way \\udcff" in (Store(wanted.config).folder / "log.txt").read_text("utf-8")
    assert "way" not in capsys.readouterr().out


def test_a_run_that_is_done_is_not_made_again_and_its_record_is_the_answer(tmp_path: Path) -> None:
    first = made(one(tmp_path, returning(0.5)))
    again = run(one(tmp_path, returning(0.75)))._return_value
    assert again["results"] == first["results"]


def test_a_run_that_another_process_is_at_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "claimed", partial(claimed, patience=0.0))
    wanted = one(tmp_path, returning(0.5))
    with lock(Store(wanted.config).folder):
        assert run(wanted)._return_value is None
    assert made(wanted)["status"] == "finished"
