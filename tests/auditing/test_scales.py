"""Weights that are too large, drawn from the wrong side, or equal."""

import math

import pytest
import torch
from torch import Tensor, nn

from initbench.auditing.scales import alike, too_large, wrong_side
from initbench.auditing.subject import Subject


def linear(std: float, width: int = 64) -> nn.Linear:
    layer = nn.Linear(width, width)
    nn.init.normal_(layer.weight, std=std)
    return layer


def test_a_standard_deviation_of_one_is_too_large() -> None:
    (found,) = too_large(Subject(nn.Sequential(linear(1.0), nn.ReLU(), linear(0.125))))
    assert found.parameter == "0.weight"
    assert "1/sqrt(fan_in) is 0.125" in found.remedy


@pytest.mark.parametrize("std", [0.0, 0.02, 1 / 8, math.sqrt(2) / 8, 5 / 3 / 8])
def test_what_is_in_use_is_not(std: float) -> None:
    assert list(too_large(Subject(linear(std)))) == []


class InputFirst(nn.Module):
    """x @ weight, as GPT-2's Conv1D."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs @ self.weight


def test_kaiming_of_a_weight_that_is_stored_the_other_way_round() -> None:
    def make(right: bool) -> nn.Module:
        layer = InputFirst(256, 64)
        nn.init.kaiming_normal_(layer.weight.T if right else layer.weight)
        return layer

    (found,) = wrong_side(Subject(make(right=False)))
    assert "stored (in, out)" in found.reason
    assert "1.41/sqrt(fan_in) is 0.0884" in found.remedy
    assert list(wrong_side(Subject(make(right=True)))) == []
    assert list(wrong_side(Subject(nn.Linear(256, 64)))) == []


def test_constant_weights_are_alike_and_zeros_are_not_said_to_be() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8))
    nn.init.constant_(model[0].weight, 0.1)
    nn.init.zeros_(model[1].weight)
    assert [finding.parameter for finding in alike(Subject(model))] == ["0.weight"]
