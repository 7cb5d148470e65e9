"""What a first batch shows."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from initbench import initialize
from initbench.auditing.signal import first_step
from initbench.auditing.subject import Subject
from initbench.model import GPT

BATCH = torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 10


def mlp(init: str, depth: int = 20) -> nn.Module:
    hidden = [part for _ in range(depth) for part in (nn.Linear(32, 32), nn.ReLU())]
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), *hidden, nn.Linear(32, 10))
    return initialize(model, init, seed=0)


def checks(model: nn.Module) -> set[str]:
    return {finding.check for finding in first_step(Subject(model, BATCH)) if finding.severity != "note"}


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


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_a_head_alone_is_no_signal_that_dies_or_grows(factor: float) -> None:
    model = mlp("kaiming_normal", depth=6)
    with torch.no_grad():
        model[-1].weight.mul_(factor)
    assert checks(model) <= {"first loss"}


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


class Returns(nn.Module):
    """What it returns contains the logits."""

    def __init__(self, wrap: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.net, self.wrap = mlp("kaiming_normal", depth=2), wrap

    def forward(self, inputs: torch.Tensor) -> object:
        return self.wrap(self.net(inputs))


@pytest.mark.parametrize("wrap", [lambda logits: (logits, None), lambda logits: {"logits": logits}])
def test_logits_are_found_in_what_a_model_returns(wrap: Callable[[torch.Tensor], object]) -> None:
    model = Returns(wrap)
    with torch.no_grad():
        model.net[-1].weight.mul_(100)
    assert checks(model) == {"first loss"}


def test_targets_of_another_kind_are_a_note() -> None:
    (found,) = first_step(Subject(mlp("kaiming_normal", depth=2), (BATCH[0], torch.randn(64))))
    assert (found.severity, found.check) == ("note", "not run")


def test_along_a_residual_stream_it_is_the_stream_that_counts() -> None:
    """And not what a branch makes of it: here the last branches are next to nothing."""
    model = GPT(vocab_size=50, context_length=16, depth=4, width=64, heads=4, mlp="swiglu", tied=False)
    tokens = torch.randint(50, (8, 16), generator=torch.Generator().manual_seed(0))
    found = first_step(Subject(initialize(model, "llama_depth_fixed", seed=0), (tokens, tokens)))
    assert [finding.check for finding in found if finding.severity != "note"] == []
