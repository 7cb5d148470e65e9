"""Identity plus noise for tanh: the law, and the signal that it keeps at a depth at which Xavier's dies."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from initbench.init import describe, initialize


@pytest.mark.parametrize("outputs, inputs", [(300, 80), (80, 300), (200, 200)])
def test_law(outputs: int, inputs: int) -> None:
    weight = initialize(nn.Linear(inputs, outputs), "tanh_fixed_point").weight.detach()
    ones = torch.tensor([[float(i % inputs == j) for j in range(inputs)] for i in range(outputs)])
    noise = (weight - ones).flatten().numpy()
    assert stats.kstest(noise, stats.norm(scale=0.085 / math.sqrt(inputs)).cdf).pvalue > 1e-3


def test_alpha_scales_the_noise() -> None:
    weight = initialize(nn.Linear(100, 100), "tanh_fixed_point", alpha=0.5).weight.detach()
    assert float((weight - torch.eye(100)).std()) == pytest.approx(0.05, rel=0.03)
    assert torch.equal(initialize(nn.Linear(5, 5), "tanh_fixed_point", alpha=0.0).weight.detach(), torch.eye(5))


@pytest.mark.parametrize("outputs, inputs", [(300, 80), (80, 300)])
def test_expected_std(outputs: int, inputs: int) -> None:
    row = describe(nn.Linear(inputs, outputs), "tanh_fixed_point").iloc[0]
    assert row["std"] == pytest.approx(row["std_expected"], rel=0.01)


def test_each_gate_is_a_matrix_by_itself() -> None:
    for gate in initialize(nn.LSTM(4, 4), "tanh_fixed_point", alpha=0.0).weight_hh_l0.detach().chunk(4):
        assert torch.equal(gate, torch.eye(4))


@torch.no_grad()
def test_activations_of_a_deep_tanh_network_neither_vanish_nor_saturate() -> None:
    """Figure 1 of the paper, at depth 300: Xavier's signal is near zero there, and its own is not."""
    inputs = torch.randn(200, 32, generator=torch.Generator().manual_seed(0))
    outputs = {}
    for name in ("tanh_fixed_point", "xavier_normal"):
        layers = [part for _ in range(300) for part in (nn.Linear(32, 32), nn.Tanh())]
        outputs[name] = initialize(nn.Sequential(*layers), name, seed=0)(inputs)
    assert 0.02 < float(outputs["tanh_fixed_point"].abs().mean()) < 0.5
    assert float(outputs["xavier_normal"].abs().mean()) < 0.02


def test_convolutions_are_refused_unless_a_rule_gives_them_another_scheme() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(
        ValueError, match=r"0\.weight has shape \(4, 3, 3, 3\): tanh_fixed_point is defined on matrices"
    ):
        initialize(model, "tanh_fixed_point")
    initialize(model, "tanh_fixed_point", alpha=0.0, rules=[{"match": "Conv2d", "weight": "xavier_normal"}])
    assert torch.equal(model[2].weight.detach(), torch.eye(2, 16))


def test_a_negative_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match=r"alpha must not be negative, got -0\.1"):
        initialize(nn.Linear(3, 3), "tanh_fixed_point", alpha=-0.1)
