"""What a first batch shows."""

import math

import pytest
import torch
from torch import nn

from initbench import initialize
from initbench.auditing.signal import first_step
from initbench.auditing.subject import Subject

BATCH = torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10


def mlp(init: str, depth: int = 20) -> nn.Module:
    hidden = [part for _ in range(depth) for part in (nn.Linear(32, 32), nn.ReLU())]
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), *hidden, nn.Linear(32, 10))
    return initialize(model, init, seed=0)


def checks(model: nn.Module) -> set[str]:
    return {finding.check for finding in first_step(Subject(model, BATCH))}


def test_a_sound_model_is_left_alone() -> None:
    assert checks(mlp("kaiming_normal", depth=3)) == set()


def test_xavier_behind_relus_dies_through_depth() -> None:
    """It halves the second moment at each of 20 layers."""
    assert "the signal dies" in checks(mlp("xavier_normal"))


def test_standard_deviations_of_one_grow_and_cost_at_the_first_step() -> None:
    model = mlp("kaiming_normal", depth=6)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(6)
    assert {"the signal grows", "first loss"} <= checks(model)


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    model = mlp("kaiming_normal", depth=2)
    nn.init.constant_(model[-1].weight, math.inf)
    (found,) = (finding for finding in first_step(Subject(model, BATCH)) if finding.check == "first loss")
    assert found.severity == "error"


def test_biases_that_kill_units_are_found() -> None:
    model = mlp("kaiming_normal", depth=2)
    nn.init.constant_(model[2].bias, -100)
    (found,) = (finding for finding in first_step(Subject(model, BATCH)) if finding.check == "dead units")
    assert (found.parameter, found.reason[:4]) == ("2", "100%")


@pytest.mark.parametrize("batch", [None, BATCH[0]])
def test_without_targets_nothing_is_said(batch: torch.Tensor | None) -> None:
    assert list(first_step(Subject(mlp("xavier_normal"), batch))) == []
