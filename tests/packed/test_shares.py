"""What a replica is charged, and what it says of its learning rate: its share of the pack, its own schedule."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from packs import configs, exploding, train_packs
from torch import Tensor

from initbench.packed import train as packed_run
from initbench.record.store import Store
from initbench.training.run import run


@pytest.mark.parametrize("diverging", [False, True])
def test_the_seconds_of_a_pack_are_shared_out(diverging: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a clock that only the pack moves: its replicas' seconds add up to the pack's, whoever has left it."""
    now, training, evaluation = 0.0, 0.0, 0.0

    class Slow(packed_run.Pack):
        def backward(self, images: Tensor, labels: Tensor) -> Tensor:
            nonlocal now, training
            now, training = now + 12, training + 12
            return super().backward(images, labels)

        def evaluate(self, images: Tensor, labels: Tensor, at_once: int, values: Any = None) -> Tensor:
            nonlocal now, evaluation
            now, evaluation = now + 5, evaluation + 5
            return super().evaluate(images, labels, at_once, values)

    wild = ["trainer.precision=32-true", "model=mlp", "optimizer=sgd"]
    runs = [*configs(tmp_path, *wild), *(exploding(tmp_path, *wild) if diverging else [])]
    monkeypatch.setattr(packed_run, "Pack", Slow)
    monkeypatch.setattr("time.perf_counter", lambda: now)
    records = list(train_packs(runs, most=64).values())
    assert [record["status"] for record in records].count("diverged") == diverging
    assert training > 0
    assert sum(record["seconds_train"] for record in records) == pytest.approx(training)
    assert sum(record["seconds_evaluation"] for record in records) == pytest.approx(evaluation)
    stayed = {record["seconds_train"] for record in records if record["status"] == "finished"}
    assert len(stayed) == 1


def train_alone(runs: list[dict[str, Any]]) -> None:
    for config in runs:
        run(config)


def train_together(runs: list[dict[str, Any]]) -> None:
    assert len(train_packs(runs, most=64)) == len(runs)


@pytest.mark.parametrize("train", [train_alone, train_together])
def test_the_learning_rate_in_the_history_is_the_one_before_multipliers(train: Any, tmp_path: Path) -> None:
    """Where all of the parameters have one of their own."""
    scaled = ["model=mlp", "optimizer=sgd", "scheduler=constant", "optimizer.lr_multipliers={weight: 4, bias: 2}"]
    runs = configs(tmp_path, *scaled, seeds=1, rates=(0.01, 0.02))
    train(runs)
    for config in runs:
        rates = pd.read_parquet(Store(config).folder / "history.parquet")["lr"].dropna()
        assert rates.tolist() == pytest.approx([config["optimizer"]["lr"]] * len(rates), rel=1e-12)
        assert len(rates) == 3
