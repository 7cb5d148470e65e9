"""SIREN: its bounds, and the property that they were chosen for."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from places import place
from scipy import stats
from torch import Generator, nn

import initbench
from initbench.init.gain import named
from initbench.init.layer import describe_layer
from initbench.init.schemes.mean_field import q_star
from initbench.init.schemes.siren import siren_


class Sine(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(30 * x)


@given(
    inputs=st.integers(1, 8), groups=st.integers(1, 3), kernel=st.integers(1, 3), first=st.booleans(),
    omega=st.floats(0.1, 50),
)  # fmt: skip  # several values to a line
def test_bounds(inputs: int, groups: int, kernel: int, first: bool, omega: float) -> None:
    module = nn.Conv2d(groups * inputs, groups * 64, kernel, groups=groups)
    layer = describe_layer("w", module, "weight", module.weight, position=place(0 if first else 2, 3))
    tensor = torch.empty(layer.shape)
    siren_(tensor, layer, Generator().manual_seed(0), omega=omega)
    fan_in = inputs * kernel**2
    bound = 1 / fan_in if first else math.sqrt(6 / fan_in) / omega
    assert 0.9 * bound < float(tensor.abs().max()) <= bound * (1 + 1e-6)
    assert siren_.std(layer, omega=omega) == pytest.approx(bound / math.sqrt(3))


def test_the_distribution_is_uniform() -> None:
    model = initbench.initialize(nn.Sequential(nn.Linear(50, 40), nn.Linear(40, 50)), "siren")
    for weight, bound in ((model[0].weight, 1 / 50), (model[1].weight, math.sqrt(6 / 40) / 30)):
        values = weight.detach().flatten().numpy()
        assert stats.kstest(values, stats.uniform(-bound, 2 * bound).cdf).pvalue > 1e-3


def test_biases_are_torchs_own() -> None:
    model = initbench.initialize(nn.Sequential(nn.Linear(64, 900)), "siren")
    assert 0.9 / 8 < float(model[0].bias.detach().abs().max()) <= 1 / 8


@torch.no_grad()
def test_pre_activations_keep_their_variance_with_depth() -> None:
    """30 (W x + b) is near N(0, q) with 2 E[sin^2] = 1 - exp(-2 q) = q, which is 0.797 (the paper rounds it to 1)."""
    layers = [nn.Sequential(nn.Linear(512, 512, bias=False), Sine()) for _ in range(10)]
    model = initbench.initialize(nn.Sequential(nn.Linear(1, 512), Sine(), *layers), "siren")
    x = model[:2](torch.linspace(-1, 1, 1024)[:, None])
    for layer in layers[:5]:
        x = layer(x)
    for layer in layers[5:]:
        assert float((30 * layer[0](x)).square().mean()) == pytest.approx(0.797, abs=0.08)
        x = layer(x)
    assert q_star(math.sqrt(2), 0, named("sin")) == pytest.approx(0.797, abs=1e-3)


@pytest.mark.parametrize("omega", [0.0, -1.0])
def test_omega_must_be_positive(omega: float) -> None:
    with pytest.raises(ValueError, match=f"omega must be positive, got {omega}"):
        initbench.initialize(nn.Linear(2, 2), "siren", omega=omega)


def test_a_bias_has_no_fan() -> None:
    with pytest.raises(ValueError, match="fans need at least two dimensions"):
        initbench.initialize(nn.Linear(2, 2), "siren", bias=None)
