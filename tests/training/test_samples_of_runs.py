"""Each run keeps the metric of every test sample, in the order of the test set, however it was trained."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from configs import typed

from initbench.record.samples import read_test_samples
from initbench.record.store import Store
from initbench.task import Classification
from initbench.training.build import build_run
from initbench.training.run import run

TEXT = ["task=language_model", "data=text_mini", "data.size=4000", "data.context_length=16", "model=gpt"]
WORKLOADS = {
    "classification": ["model=mlp"],
    "regression": ["task=regression", "data=curves"],
    "huber": ["task=regression", "data=curves", "task.loss=huber"],
    "autoencoder": ["task=autoencoder", "model=autoencoder", "model.widths=[32]"],
    "language_model": [*TEXT, "model.width=16"],
}


def values_of(config: dict[str, Any]) -> Any:
    values = read_test_samples(Store(config).folder)
    assert values is not None
    return values


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_their_mean_is_the_result(small: Any, workload: list[str]) -> None:
    """And those of a pack are the same: see compare in tests/packed/packs.py."""
    config = small("data.batch_size=16", *workload)
    record = run(config)
    assert record is not None
    name = record["metric"]["name"]
    assert values_of(config).mean() == pytest.approx(record["results"][f"test/{name}"], rel=1e-4)


def test_they_are_in_the_order_of_the_test_set(small: Any) -> None:
    """A constant network is right where the label is its class."""
    config = small("init=zeros", "optimizer.lr=1e-30")
    run(config)
    _, labels = build_run(typed(config)).data.tensors("test", torch.device("cpu"))
    right = values_of(config)
    assert any(np.array_equal(right, labels == label) for label in range(10))


@pytest.mark.parametrize(
    "others",
    [["data.stream=true"], ["trainer.devices=2", "trainer.threads=1"], ["data.batch_size=7"]],
    ids=["streamed", "two processes", "windows in uneven batches"],
)
def test_how_the_test_set_is_read_does_not_matter(small: Any, others: list[str]) -> None:
    """Untrained networks, so that nothing else differs."""
    fixed = [*TEXT, "model.width=16", "data.batch_size=16", "optimizer.lr=1e-30"]
    whole, shared = small(*fixed), small(*fixed, "study=shared", *others)
    run(whole)
    run(shared)
    assert len(values_of(whole)) > 20
    np.testing.assert_allclose(values_of(shared), values_of(whole), rtol=1e-3)


def test_a_run_that_was_halved_has_them(small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each batch is evaluated in two parts, too."""
    from initbench.training import run as of_run

    def in_halves(config: Any) -> Any:
        parts = build_run(config)
        parts.recipe.micro_batches = 2
        return parts

    whole, halved = small("optimizer.lr=1e-30"), small("optimizer.lr=1e-30", "study=halved")
    run(whole)
    monkeypatch.setattr(of_run, "build_run", in_halves)
    run(halved)
    np.testing.assert_array_equal(values_of(halved), values_of(whole))


def test_a_run_that_diverged_has_none(small: Any) -> None:
    config = small("optimizer=sgd", "optimizer.lr=1e200", "scheduler=constant")
    record = run(config)
    assert record is not None
    assert record["status"] == "diverged"
    assert read_test_samples(Store(config).folder) is None


class AlwaysAveraged(Classification):
    """A task of the user's own that is judged by its loss, which has no form for each prediction."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        from initbench.metric import Metric

        self.metric, self.targets = Metric("loss", "test loss", higher_is_better=False), []

    def loss(self, outputs: Any, targets: Any, *, training: bool = False, reduction: Any = "mean") -> Any:
        return super().loss(outputs, targets, training=training)


def test_a_loss_that_is_always_averaged_costs_the_samples_alone(small: Any) -> None:
    config = small(f"task._target_={__name__}.AlwaysAveraged")
    record = run(config)
    assert record is not None
    assert record["status"] == "finished"
    assert read_test_samples(Store(config).folder) is None


def test_the_column_is_named_after_the_metric(small: Any) -> None:
    config = small()
    run(config)
    frame = pd.read_parquet(Store(config).folder / "test_samples.parquet")
    assert {**frame.dtypes} == {"accuracy": np.dtype(bool)}
