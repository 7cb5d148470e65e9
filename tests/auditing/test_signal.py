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


def biased(height: float) -> nn.Module:
    """A model that thinks most of one class, whatever its inputs are."""
    model = nn.Linear(16, 10)
    with torch.no_grad():
        model.weight.mul_(1e-3)
        model.bias.zero_()
        model.bias[9] = height
    return model


@pytest.mark.parametrize("height, samples, is_worse", [(3.3, 64, True), (2.0, 64, False), (3.3, 4, False)])
def test_half_a_nat_above_chance_is_too_much_unless_the_batch_is_small(
    height: float, samples: int, is_worse: bool
) -> None:
    """By hand: ln(9 + e^h) - h p, where p is the share of that class, minus ln(10): 0.97, 0.3 and 1.28 nats."""
    found = [each.check for each in first_step(Subject(biased(height), (BATCH[0][:samples], BATCH[1][:samples])))]
    assert found == ["first loss"] * is_worse


@pytest.mark.parametrize("factor, checked", [(30, False), (300, True)])
@pytest.mark.parametrize("grows", [True, False])
def test_ten_thousand_times_is_too_much(factor: float, checked: bool, grows: bool) -> None:
    model = mlp("kaiming_normal", depth=6)
    with torch.no_grad():
        model[6].weight.mul_(factor if grows else 1 / factor)
    found = [each for each in first_step(Subject(model, BATCH)) if each.check.startswith("the signal")]
    assert [each.check for each in found] == [f"the signal {'grows' if grows else 'dies'}"] * checked
    assert all((each.parameter, each.reason[:17]) == ("12", "from 0 to 12 the ") for each in found)


@pytest.mark.parametrize("units, is_found", [(24, True), (8, False)])
def test_more_than_half_of_a_layers_units_are_too_many_dead_ones(units: int, is_found: bool) -> None:
    model = mlp("kaiming_normal", depth=2)
    with torch.no_grad():
        model[2].bias[:units] = -100
    found = [each.parameter for each in first_step(Subject(model, BATCH)) if each.check == "dead units"]
    assert found == ["2"] * is_found


def test_weights_that_trade_their_scales_have_gradients_of_different_ones() -> None:
    """With c w1 and w2 / c the outputs stay, and so do the products of weights and gradients."""
    model = mlp("kaiming_normal", depth=3)
    assert list(first_step(Subject(model, BATCH))) == []
    with torch.no_grad():
        model[2].weight.mul_(30)
        model[4].weight.div_(30)
    (found,) = first_step(Subject(model, BATCH))
    assert (found.severity, found.check, found.parameter) == ("note", "gradients of different scales", "2")
    assert "the gradient of 4 is" in found.reason
    assert "times that of 2" in found.reason


def test_a_head_of_zeros_has_no_scale_of_gradients() -> None:
    model = mlp("kaiming_normal", depth=3)
    nn.init.zeros_(model[-1].weight)
    assert list(first_step(Subject(model, BATCH))) == []


class Streams(nn.Module):
    """Two streams side by side, of which one is a thousand times larger; each grows by a factor at each block."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.one, self.other = (nn.ModuleList(nn.Linear(16, 16, bias=False) for _ in range(5)) for _ in range(2))
        self.head = nn.Linear(32, 10)
        for layer in (*self.one, *self.other):
            nn.init.eye_(layer.weight)
            layer.weight.data.mul_(factor - 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        one, other = inputs, 1000 * inputs
        for here, there in zip(self.one, self.other, strict=True):
            one, other = one + here(one), other + there(other)
        return self.head(torch.cat([one, other / 1e6], 1))


@pytest.mark.parametrize("factor, ends", [(2.0, []), (4.0, ["one.4", "other.4"])])
def test_each_stream_is_compared_with_its_own_beginning(factor: float, ends: list[str]) -> None:
    """Over four blocks, the second moment grows by factor^8: 256 and 65,536."""
    found = [each for each in first_step(Subject(Streams(factor), BATCH)) if each.check == "the signal grows"]
    assert [each.parameter for each in found] == ends
    assert all("changes by 6.6e+04" in each.reason for each in found)
