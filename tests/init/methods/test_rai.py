"""Randomized asymmetric initialization: the joint law of a weight and its bias, and networks that are born dead."""

import math

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from initbench.init import describe, initialize

SIGMA = 0.6007


def rows_of(weight: Tensor, bias: Tensor | None = None) -> Tensor:
    parts = [weight.flatten(1)] if bias is None else [weight.flatten(1), bias[:, None]]
    return torch.cat(parts, 1).detach().double()


def assert_law(rows: Tensor, fan_in: int) -> None:
    """All entries together, against the mixture: normal, but Beta(2, 1) for one entry of each row."""
    share = 1 / rows.shape[1]
    normal, beta = stats.norm(scale=SIGMA / math.sqrt(fan_in)), stats.beta(2, 1)
    assert stats.kstest(rows.flatten(), lambda x: (1 - share) * normal.cdf(x) + share * beta.cdf(x)).pvalue > 1e-3
    # Far above the normal's reach there is at most one entry a row, as often as Beta(2, 1) exceeds that bound.
    far = 6 * SIGMA / math.sqrt(fan_in)
    found = (rows.abs() > far).sum(1)
    assert int(found.max()) == 1
    expected = float(beta.sf(far))
    assert float(found.double().mean()) == pytest.approx(
        expected, abs=4 * math.sqrt(expected * (1 - expected) / len(rows))
    )


def test_a_linear_layer_and_its_bias() -> None:
    layer = initialize(nn.Linear(99, 2000), "rai")
    rows = rows_of(layer.weight, layer.bias)
    assert_law(rows, 99)
    # The place of the positive entry is uniform, the bias included.
    places = rows.argmax(1)[rows.max(1).values > 0.5]
    counts = torch.bincount(places // 10, minlength=10)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_the_bias_of_a_narrow_layer_is_chosen_as_often_as_a_weight() -> None:
    bias = initialize(nn.Linear(1, 4000), "rai").bias.detach().double()
    normal, beta = stats.norm(scale=SIGMA), stats.beta(2, 1)
    assert stats.kstest(bias, lambda x: (normal.cdf(x) + beta.cdf(x)) / 2).pvalue > 1e-3


def test_without_a_bias_it_is_a_weight() -> None:
    assert_law(rows_of(initialize(nn.Linear(100, 2000, bias=False), "rai").weight), 100)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_grouped_convolution_has_a_row_for_each_output_channel(transposed: bool) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer = initialize(kind(8, 1000, 5, groups=2), "rai")
    weight = layer.weight
    if transposed:  # (in, out / groups, ...)
        weight = torch.cat([group.transpose(0, 1) for group in weight.chunk(2)])
    assert_law(rows_of(weight, layer.bias), 100)


def test_gates_and_projections_have_a_row_for_each_unit() -> None:
    lstm = initialize(nn.LSTM(100, 500), "rai")
    assert_law(rows_of(lstm.weight_ih_l0, lstm.bias_ih_l0), 100)
    assert_law(rows_of(lstm.weight_hh_l0, lstm.bias_hh_l0), 500)
    attention = initialize(nn.MultiheadAttention(600, 2), "rai")
    assert_law(rows_of(attention.in_proj_weight, attention.in_proj_bias), 600)


def test_norms_and_embeddings_are_left_to_their_policies() -> None:
    model = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 50))
    schemes = describe(model, "rai").set_index("parameter")["scheme"]
    assert schemes.to_dict() == {
        "0.weight": "default",
        "1.weight": "1",
        "1.bias": "0",
        "2.weight": "kaiming_normal, rai",
        "2.bias": "like_weights, rai",
    }


def test_other_policies_change_what_is_not_replaced() -> None:
    model = initialize(nn.Linear(9, 500), "rai", weight=-1, bias=-2)
    rows = rows_of(model.weight, model.bias)
    assert ((rows > 0).sum(1) == 1).all()
    assert set(rows[rows < 0].tolist()) == {-1.0, -2.0}
    assert stats.kstest(rows[rows > 0], stats.beta(2, 1).cdf).pvalue > 1e-3


def test_biases_have_the_fan_in_of_their_weight() -> None:
    parts = {"linear": nn.Linear(50, 3), "conv": nn.Conv1d(4, 6, 5, groups=2), "lstm": nn.LSTM(7, 9)}
    policy = {"_target_": "initbench.init.methods.rai.bias_", "gain": 2.0}
    expected = describe(nn.ModuleDict(parts), "zeros", bias=policy).set_index("parameter")["std_expected"]
    fans = {"linear.bias": 50, "conv.bias": 10, "lstm.bias_ih_l0": 7, "lstm.bias_hh_l0": 9}
    assert expected[list(fans)].to_dict() == pytest.approx({key: 2 / math.sqrt(fan) for key, fan in fans.items()})


def test_a_bias_without_a_weight_stays_zero() -> None:
    attention = initialize(nn.MultiheadAttention(4, 2, kdim=3, vdim=5), "rai")
    assert attention.in_proj_weight is None
    assert not attention.in_proj_bias.any()
    assert (attention.q_proj_weight.detach().flatten(1).max(1).values > 0).all()


def test_each_layer_has_draws_of_its_own() -> None:
    model, again = (initialize(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), "rai", seed=3) for _ in range(2))
    assert torch.equal(model[1].weight, again[1].weight)
    assert not torch.equal(model[0].weight, model[1].weight)
    assert not torch.equal(model[0].weight, initialize(nn.Sequential(nn.Linear(4, 4)), "rai", seed=4)[0].weight)


@torch.no_grad()
def test_fewer_narrow_networks_are_born_dead() -> None:
    """Width 2, depth 10, one input: with symmetric weights .884 of networks are dead (see test_published_behaviour)."""
    layers = [part for i in range(9) for part in (nn.Linear(2 if i else 1, 2), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(2, 1))
    x = torch.linspace(-math.sqrt(3), math.sqrt(3), 50)[:, None]
    dead = sum(bool(initialize(model, "rai", seed=seed)(x).std() < 1e-6) for seed in range(60))
    assert dead / 60 < 0.5
