"""A run keeps the model's outputs on the test set if the data can be drawn, and none otherwise."""

from typing import Any

import numpy as np
import pytest
import torch
from configs import typed

from initbench.record.samples import read_outputs
from initbench.record.store import Store
from initbench.training.build import build_run
from initbench.training.run import run

REGRESSION = ["task=regression", "data=curves", "data.size=60", "data.batch_size=16"]
SPIRALS = ["data=curves", "data.function=spirals", "data.targets=[0.7]", "data.size=60", "data.batch_size=16"]
UNTRAINED = "optimizer.lr=1e-30"


@pytest.mark.parametrize(
    "workload, outputs",
    [
        (REGRESSION, 1),
        ([*REGRESSION, "data.function=peaks"], 1),
        (SPIRALS, 2),
        ([*SPIRALS, "data.stream=true"], 2),
        pytest.param([*SPIRALS, "trainer.devices=2", "trainer.threads=1"], 2, marks=pytest.mark.slow),
    ],
    ids=["one variable", "two variables", "classes", "streamed", "two processes"],
)
def test_they_are_those_of_the_model(small: Any, workload: list[str], outputs: int) -> None:
    """A pack keeps the same: see compare in tests/packed/packs.py."""
    config = small(*workload, UNTRAINED, "init=orthogonal")
    run(config)
    parts = build_run(typed(config))
    parts.recipe.initialize(parts.data)
    inputs, _ = parts.data.tensors("test", torch.device("cpu"))
    kept = read_outputs(Store(config).folder)
    assert kept is not None
    assert kept.shape == (31, outputs)
    assert kept.std() > 0.01
    with torch.no_grad():
        np.testing.assert_allclose(kept, parts.recipe.model.eval()(inputs).numpy(), rtol=1e-5, atol=1e-6)


def test_other_data_keep_none(small: Any) -> None:
    config = small()
    run(config)
    assert read_outputs(Store(config).folder) is None
