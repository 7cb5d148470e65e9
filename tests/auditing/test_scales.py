"""Weights that are too large, drawn from the wrong side, or equal."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from initbench.auditing.scales import alike, too_large, too_large_outside, too_small, wrong_fans
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

    (found,) = wrong_fans(Subject(make(right=False)))
    assert "stored (in, out)" in found.reason
    assert "1.41/sqrt(fan_in) for a fan_in of 64, as torch.nn.init reads it from the shape" in found.reason
    assert found.remedy == "1.41/sqrt(256) is 0.0884"
    assert list(wrong_fans(Subject(make(right=True)))) == []
    assert list(wrong_fans(Subject(nn.Linear(256, 64)))) == []


def test_kaiming_of_a_convolution_with_groups() -> None:
    """As in torchvision's MobileNetV2: the fan_out of a depthwise convolution is 9, and the shape says 9 times 128."""
    layer = nn.Conv2d(128, 128, 3, groups=128)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", generator=torch.Generator().manual_seed(0))
    (found,) = wrong_fans(Subject(layer))
    assert (found.severity, found.remedy) == ("warning", "1.41/sqrt(9) is 0.471")
    nn.init.kaiming_normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    assert list(wrong_fans(Subject(layer))) == []


def test_torchs_own_attention_is_a_note() -> None:
    """It draws query, key and value as one matrix of three times the outputs."""
    (found,) = wrong_fans(Subject(nn.MultiheadAttention(64, 4)))
    assert (found.severity, found.parameter) == ("note", "in_proj_weight")
    assert "1/sqrt(mean fan) for a mean fan of 128" in found.reason


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(64, 32),
        nn.Conv2d(32, 64, 3, groups=4),
        nn.ConvTranspose2d(32, 64, 3),
        nn.LSTM(32, 64),
        nn.GRUCell(64, 32),
    ],
)
def test_torchs_defaults_are_of_the_right_fans(layer: nn.Module) -> None:
    assert [found for found in wrong_fans(Subject(layer)) if found.severity != "note"] == []


def test_next_to_nothing_is_a_note_and_zero_is_none() -> None:
    assert [found.severity for found in too_small(Subject(linear(1e-4)))] == ["note"]
    assert list(too_small(Subject(linear(0.0)))) == []
    assert list(too_small(Subject(linear(0.02)))) == []


def test_constant_weights_are_alike_and_zeros_are_not_said_to_be() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8))
    nn.init.constant_(model[0].weight, 0.1)
    nn.init.zeros_(model[1].weight)
    assert [finding.parameter for finding in alike(Subject(model))] == ["0.weight"]


class Experts(nn.Module):
    """Matrices that belong to no layer."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(64))
        self.layer = nn.Linear(64, 64)
        self.frozen = nn.Parameter(torch.randn(64, 64), requires_grad=False)
        self.up = nn.Parameter(std * torch.randn(64, 64))
        self.experts = nn.Parameter(std * torch.randn(3, 64, 64))

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.layer(inputs * self.scale) @ self.frozen @ self.up
        return torch.einsum("bi,eio->bo", hidden, self.experts)


def test_matrices_of_no_layer_are_looked_at_too() -> None:
    """Also behind a vector, and one that is not trained."""
    assert [found.parameter for found in too_large_outside(Subject(Experts(1.0)))] == ["up", "experts"]
    assert list(too_large_outside(Subject(Experts(0.1)))) == []


def test_an_embedding_of_one_that_is_the_head_too() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(100, 64), nn.Linear(64, 100, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, tokens: Tensor) -> Tensor:
            logits: Tensor = self.head(self.embedding(tokens))
            return logits

    (found,) = too_large_outside(Subject(Tied()))
    assert found.parameter == "embedding.weight"


@pytest.mark.parametrize("inputs, outputs", [(16, 1600), (1600, 16)])
def test_what_one_side_bears_is_neither_too_large_nor_too_small(inputs: int, outputs: int) -> None:
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=0.2)  # a gain of 0.8 on one side, and of 8 on the other
    assert list(too_large(Subject(layer))) == []
    nn.init.normal_(layer.weight, std=0.005)  # 0.02 and 0.2
    assert list(too_small(Subject(layer))) == []


def test_both_factors_are_named() -> None:
    layer = nn.Linear(16, 64)
    nn.init.constant_(layer.weight, 2.0)
    (found,) = too_large(Subject(layer))
    assert found.reason == "its std of 2 multiplies signals by 8 and gradients by 16"
    assert found.remedy == "1/sqrt(fan_in) is 0.25"
    nn.init.constant_(layer.weight, 0.001)
    (found,) = too_small(Subject(layer))
    assert found.reason == "its std of 0.001 multiplies signals by 0.004 and gradients by 0.008"


@pytest.mark.parametrize("gain, large, small", [(5, 1, 0), (3, 0, 0), (0.06, 0, 0), (0.04, 0, 1)])
def test_from_which_gain_on_it_is_too_large_or_too_small(gain: float, large: int, small: int) -> None:
    layer = nn.Linear(64, 64)
    nn.init.constant_(layer.weight, gain / 8)
    assert (len(list(too_large(Subject(layer)))), len(list(too_small(Subject(layer))))) == (large, small)


@pytest.mark.parametrize("build", [lambda: nn.MultiheadAttention(64, 4), lambda: nn.LSTM(64, 64)])
def test_of_stacked_matrices_one_finding_is_enough_and_what_is_frozen_is_left_alone(
    build: Callable[[], nn.Module],
) -> None:
    layer = build()
    weights = [parameter for parameter in layer.parameters() if parameter.dim() == 2]
    for weight in weights:
        nn.init.normal_(weight, std=2)
    names = [found.parameter for found in too_large(Subject(layer))]
    assert names == [name for name, parameter in layer.named_parameters() if parameter.dim() == 2]
    layer.requires_grad_(False)
    assert list(too_large(Subject(layer))) == []


def test_a_matrix_of_no_layer_may_be_large_on_one_side() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.up = nn.Linear(16, 16), nn.Parameter(torch.full((16, 1600), 0.2))

        def forward(self, inputs: Tensor) -> Tensor:
            return self.layer(inputs) @ self.up

    model = Wide()
    assert list(too_large_outside(Subject(model))) == []
    nn.init.constant_(model.up, 2.0)
    (found,) = too_large_outside(Subject(model))
    assert found.reason == "its std of 2 multiplies signals and gradients by 8 or more"
    assert found.remedy == "1/sqrt(16) is 0.25"


def test_of_a_small_matrix_no_side_can_be_told_and_torchs_own_rule_is_a_note() -> None:
    small, large = InputFirst(32, 8), InputFirst(256, 64)
    nn.init.kaiming_normal_(small.weight, generator=torch.Generator().manual_seed(0))
    assert list(wrong_fans(Subject(small))) == []
    nn.init.kaiming_uniform_(large.weight, a=math.sqrt(5), generator=torch.Generator().manual_seed(0))
    (found,) = wrong_fans(Subject(large))
    assert found.severity == "note"
    assert "is 0.577/sqrt(fan_in) for a fan_in of 64" in found.reason


def test_units_are_alike_if_their_rows_are_and_one_unit_is_like_no_other() -> None:
    one, many, columns = nn.Linear(8, 1), nn.Linear(8, 8), nn.Linear(8, 8)
    nn.init.constant_(one.weight, 0.1)
    row = torch.randn(1, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        many.weight.copy_(row.expand(8, 8))
        columns.weight.copy_(row.T.expand(8, 8))
    found = alike(Subject(nn.ModuleList([one, many, columns])))
    assert [finding.parameter for finding in found] == ["1.weight"]
