"""Mean-field theory against the numbers of its papers, against closed forms, and against wide random networks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from torch import nn

import initbench
from initbench.init.gain import ACTIVATIONS, named
from initbench.init.schemes.mean_field import chi, critical, depth_scale, keeps_any_variance, q_star

SIGMA_B = math.sqrt(0.05)


def test_tanh_at_the_papers_biases() -> None:
    sigma_w, q = critical(named("tanh"), SIGMA_B)
    assert sigma_w**2 == pytest.approx(1.7610, abs=1e-4)
    assert q == pytest.approx(0.570, abs=1e-3)


@pytest.mark.parametrize("sigma_w_squared, depth", [(1, 21.8), (1.3, 47.0), (2.5, 70.8), (4, 41.9)])
def test_depth_scales_of_tanh(sigma_w_squared: float, depth: float) -> None:
    assert 6 * depth_scale(math.sqrt(sigma_w_squared), SIGMA_B) == pytest.approx(depth, abs=0.05)


def test_the_depth_scale_diverges_at_the_critical_point_from_both_sides() -> None:
    sigma_w, _ = critical(named("tanh"), SIGMA_B)
    below, above = (depth_scale(sigma_w * factor, SIGMA_B) for factor in (0.999, 1.001))
    assert min(below, above) > 100
    assert depth_scale(sigma_w, SIGMA_B) > 1e6


@settings(max_examples=25)
@given(q=st.floats(0.01, 20))
def test_sin_in_closed_form(q: float) -> None:
    """E[sin^2] = (1 - e^-2q) / 2 and E[cos^2] = (1 + e^-2q) / 2, so sigma_b^2 = q - tanh q at the critical point."""
    sigma_w, found = critical(named("sin"), math.sqrt(q - math.tanh(q)))
    assert found == pytest.approx(q, rel=1e-4)
    assert sigma_w**2 == pytest.approx(2 / (1 + math.exp(-2 * q)), rel=1e-4)


@pytest.mark.parametrize("name", ["tanh", "elu", "selu", "softsign", "hardtanh", "sigmoid"])
def test_a_critical_point_is_one(name: str) -> None:
    sigma_w, q = critical(named(name), 0.3)
    assert q_star(sigma_w, 0.3, named(name)) == pytest.approx(q, rel=1e-6)
    assert chi(sigma_w, 0.3, named(name)) == pytest.approx(1, abs=1e-6)


def test_the_integrals_agree_with_an_independent_one() -> None:
    sigma_w, q = critical(named("tanh"), 0.5)
    mean = lambda f: quad(lambda z: f(math.sqrt(q) * z) * stats.norm.pdf(z), -10, 10)[0]  # noqa: E731 - a formula
    assert sigma_w**2 * mean(lambda u: math.cosh(u) ** -4) == pytest.approx(1)
    assert sigma_w**2 * mean(lambda u: math.tanh(u) ** 2) + 0.25 == pytest.approx(q)


def test_without_biases_tanh_is_critical_at_one_and_zero() -> None:
    assert critical(named("tanh"), 0.0) == (pytest.approx(1, abs=1e-6), 0.0)
    assert q_star(0.9, 0.0) == q_star(1.0, 0.0) == 0.0
    assert depth_scale(0.9, 0.0) == pytest.approx(-1 / math.log(0.81), rel=1e-4)
    assert depth_scale(2.0, 0.0) > 1  # chaos, where the correlation settles at 0


@pytest.mark.parametrize(
    "name, slope, sigma_w",
    [("relu", 0.01, math.sqrt(2)), ("leaky_relu", 0.2, math.sqrt(2 / 1.04)), ("linear", 0.01, 1.0)],
)
def test_relu_is_critical_without_biases_only(name: str, slope: float, sigma_w: float) -> None:
    assert critical(named(name, slope), 0.0) == (pytest.approx(sigma_w, rel=1e-6), 1.0)
    with pytest.raises(ValueError, match=f"{name} has no critical point at sigma_b = 0.1, .* give sigma_b = 0"):
        critical(named(name, slope), 0.1)
    with pytest.raises(ValueError, match=f"{name} has no stable variance"):
        q_star(1.01 * sigma_w, 0.1, named(name, slope))


def test_relu_below_its_critical_point_settles_where_the_geometric_series_does() -> None:
    """q = sigma_w^2 q / 2 + sigma_b^2."""
    assert q_star(1.0, 0.3, named("relu")) == pytest.approx(0.18)
    assert chi(1.0, 0.3, named("relu")) == pytest.approx(0.5, rel=1e-6)


def test_who_keeps_any_variance() -> None:
    assert {name for name in ACTIVATIONS if keeps_any_variance(named(name))} == {"relu", "leaky_relu", "linear"}


@pytest.mark.parametrize("name", ["softplus", "gelu"])
def test_no_critical_point_is_one_clear_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} has no critical point of stable variance at sigma_b = 0.2"):
        critical(named(name), 0.2)


def deep(activation: nn.Module, width: int = 1000, depth: int = 12) -> nn.Sequential:
    return nn.Sequential(*[layer for _ in range(depth) for layer in (nn.Linear(width, width), activation)])


@torch.no_grad()
@pytest.mark.parametrize("sigma_w, sigma_b", [("critical", None), (2.0, 0.5)])
def test_wide_networks_settle_at_the_theorys_variance(sigma_w: float | str, sigma_b: float | None) -> None:
    model = initbench.initialize(deep(nn.Tanh()), "mean_field", sigma_w=sigma_w, sigma_b=sigma_b)
    q = critical(named("tanh"), SIGMA_B)[1] if sigma_w == "critical" else q_star(2.0, 0.5)
    preactivations = model[:-1](torch.randn(20, 1000))
    assert float(preactivations.square().mean()) == pytest.approx(q, rel=0.1)


@pytest.mark.parametrize("sigma_w", ["critical", 1.5])
def test_draws_have_their_distribution(sigma_w: float | str) -> None:
    model = initbench.initialize(nn.Sequential(nn.Linear(200, 3000), nn.Tanh()), "mean_field", sigma_w=sigma_w)
    of_weight = critical(named("tanh"), SIGMA_B)[0] if sigma_w == "critical" else 1.5
    for tensor, std in ((model[0].weight, of_weight / math.sqrt(200)), (model[0].bias, SIGMA_B)):
        assert stats.kstest(tensor.detach().flatten()[:3000].numpy(), stats.norm(scale=std).cdf).pvalue > 1e-3


def test_relu_is_he_and_has_no_biases() -> None:
    model = nn.Sequential(nn.Conv2d(8, 64, 3, groups=2), nn.ReLU())
    table = initbench.init.describe(model, "mean_field").set_index("parameter")
    assert table.std_expected["0.weight"] == pytest.approx(math.sqrt(2 / 36), rel=1e-4)
    assert table.std_expected["0.bias"] == 0
    assert table["std"]["0.bias"] == 0


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"sigma_w": "critcal"}, "unknown sigma_w 'critcal'. Did you mean 'critical'"),
        ({"sigma_w": -1.0}, "must not be negative, got -1.0"),
        ({"sigma_b": -0.1}, "sigma_b must not be negative, got -0.1"),
        ({"nonlinearity": "tanhh"}, "unknown nonlinearity 'tanhh'"),
        ({"nonlinearity": "relu", "sigma_b": 0.1}, "give sigma_b = 0"),
    ],
)
def test_wrong_parameters(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initbench.initialize(deep(nn.Tanh(), 4, 2), "mean_field", **parameters)


def test_numbers_must_not_be_negative_where_both_are_given() -> None:
    with pytest.raises(ValueError, match=r"must not be negative, got 1\.5 and -0\.1"):
        initbench.initialize(deep(nn.Tanh(), 4, 2), "mean_field", sigma_w=1.5, sigma_b=-0.1)


def test_a_nonlinearity_counts_unless_both_numbers_are_given() -> None:
    """It decides about sigma_b, which is 0 for relu."""
    model = initbench.initialize(deep(nn.Tanh(), 8, 2), "mean_field", sigma_w=1.5, nonlinearity="relu")
    assert not model[0].bias.any()
    with pytest.raises(ValueError, match="nonlinearity=relu changes nothing, since sigma_w and sigma_b are numbers"):
        initbench.initialize(deep(nn.Tanh(), 4, 2), "mean_field", sigma_w=1.5, sigma_b=0.1, nonlinearity="relu")


@pytest.mark.parametrize("name, sigma_w", [("relu", math.sqrt(2)), ("linear", 1.0)])
def test_where_every_variance_is_preserved_there_is_no_stable_one(name: str, sigma_w: float) -> None:
    with pytest.raises(ValueError, match=f"{name} has no stable variance"):
        q_star(sigma_w, 0.0, named(name))
