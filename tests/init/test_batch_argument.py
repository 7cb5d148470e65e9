"""The batch of a function of one's own that initializes a whole model, as the documentation shows it."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from initbench import describe, initialize

INPUTS = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(8) % 2


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 2))


def unit_outputs(model: nn.Module, batch: Any) -> None:
    with torch.no_grad():
        model[4].weight /= model(batch.inputs).std()


@pytest.mark.parametrize("batch", [INPUTS, (INPUTS,), (INPUTS, TARGETS), [INPUTS, TARGETS]], ids=str)
def test_the_inputs_are_what_the_model_takes(batch: Any) -> None:
    filled = initialize(model(), unit_outputs, seed=0, batch=batch, bias=0)
    filled[3].eval()
    assert float(filled(INPUTS).detach().std()) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("batch, expected", [(INPUTS, None), ((INPUTS, None), None), ((INPUTS, TARGETS), TARGETS)])
def test_a_batch_is_a_pair_of_inputs_and_targets(batch: Any, expected: Tensor | None) -> None:
    seen: list[Any] = []

    def look(model: nn.Module, batch: Any) -> None:
        inputs, targets = batch
        seen.append((inputs, targets, batch.inputs, batch.targets, batch[0], batch[1], len(batch)))

    initialize(model(), look, batch=batch)
    ((*parts, length),) = seen
    assert length == 2
    for found in parts[0::2]:
        assert torch.equal(found, INPUTS)
    for found in parts[1::2]:
        assert found is None if expected is None else torch.equal(found, expected)


def test_statistics_that_the_batch_leaves_stay_in_the_copy() -> None:
    filled = initialize(model(), unit_outputs, batch=INPUTS)
    assert torch.equal(filled[1].running_mean, torch.zeros(4))
    assert int(filled[1].num_batches_tracked) == 0


def test_a_function_without_its_batch_is_refused() -> None:
    for act in (initialize, describe):
        with pytest.raises(ValueError, match=r"unit_outputs.* needs data: pass batch=\(inputs, targets\)"):
            act(model(), unit_outputs)


def test_a_description_takes_the_loss_that_an_initialization_takes() -> None:
    data: Any = {"batch": (INPUTS, torch.full((8, 2), 3.0)), "loss": nn.functional.mse_loss}
    filled = initialize(model(), "class_prior", **data)
    assert filled[4].bias.tolist() == [3, 3]
    assert describe(model(), "class_prior", **data).set_index("parameter")["mean"]["4.bias"] == 3
