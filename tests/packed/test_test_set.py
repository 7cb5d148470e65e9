"""The test set is read once, after everything else; by a run that diverged never."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packs import configs, train_packs

from initbench.data.batches import Batch, Loader
from initbench.data.mini import mnist_mini
from initbench.training.run import run


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was read, pass by pass."""
    passes: list[str] = []
    iterate = Loader.__iter__
    test_size = len(mnist_mini().test_images)

    def noting(self: Loader) -> Iterator[Batch]:
        passes.append("test" if len(self.inputs) == test_size else "train or val")
        yield from iterate(self)

    monkeypatch.setattr(Loader, "__iter__", noting)
    return passes


def alone(folder: Path, *overrides: str) -> list[Any]:
    return [run(config) for config in configs(folder, *overrides, inits=("default",), seeds=1)]


def in_a_pack(folder: Path, *overrides: str) -> list[Any]:
    return list(train_packs(configs(folder, *overrides, seeds=1), most=64).values())


@pytest.mark.parametrize("train", [alone, in_a_pack])
def test_the_test_set_is_read_once_and_last(train: Any, tmp_path: Path, read: list[str]) -> None:
    records = train(tmp_path, "model=mlp")
    assert all("test/accuracy" in record["results"] for record in records)
    assert read.count("test") == 1
    assert read[-1] == "test"


@pytest.mark.parametrize("train", [alone, in_a_pack])
def test_a_run_that_diverges_never_reads_it(train: Any, tmp_path: Path, read: list[str]) -> None:
    records = train(tmp_path, "model=mlp", "optimizer=sgd", "scheduler=constant", "optimizer.lr=1e200")
    assert all(record["status"] == "diverged" for record in records)
    assert "test" not in read
