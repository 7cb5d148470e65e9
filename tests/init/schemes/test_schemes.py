"""Each scheme against torch.nn.init where torch is right, and against its formula where torch has none."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Generator, Tensor, nn

from initbench import describe
from initbench.init.gain import named
from initbench.init.layer import Layer, describe_layer
from initbench.init.schemes.elementary import normal_, sparse_, trunc_normal_, uniform_
from initbench.init.schemes.identity import dirac_, eye_
from initbench.init.schemes.orthogonal import orthogonal_
from initbench.init.schemes.variance import (
    DISTRIBUTIONS,
    kaiming_normal_,
    kaiming_uniform_,
    lecun_normal_,
    lecun_uniform_,
    variance_scaling_,
    xavier_normal_,
    xavier_uniform_,
)


def layer_of(module: nn.Module) -> Layer:
    return describe_layer("layer.weight", module, "weight", module.weight, named("relu"))


def generator(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def filled(scheme, module: nn.Module, seed: int = 0, **parameters) -> Tensor:
    layer = layer_of(module)
    tensor = torch.empty(layer.shape)
    scheme(tensor, layer, generator(seed), **parameters)
    return tensor


@pytest.mark.parametrize("module", [nn.Linear(40, 30), nn.Conv2d(5, 7, 3)], ids=["linear", "conv"])
@pytest.mark.parametrize(
    "scheme, parameters, theirs, their_parameters",
    [
        (uniform_, {}, nn.init.uniform_, {}),
        (normal_, {"std": 0.3}, nn.init.normal_, {"std": 0.3}),
        (trunc_normal_, {"std": 1.5, "a": -1, "b": 2}, nn.init.trunc_normal_, {"std": 1.5, "a": -1, "b": 2}),
        (xavier_uniform_, {"gain": 1.3}, nn.init.xavier_uniform_, {"gain": 1.3}),
        (xavier_normal_, {}, nn.init.xavier_normal_, {}),
        (kaiming_uniform_, {}, nn.init.kaiming_uniform_, {"nonlinearity": "relu"}),
        (kaiming_uniform_, {"nonlinearity": "leaky_relu", "a": 5**0.5}, nn.init.kaiming_uniform_, {"a": 5**0.5}),
        (kaiming_normal_, {"mode": "fan_out"}, nn.init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "relu"}),
        (kaiming_normal_, {"nonlinearity": "tanh"}, nn.init.kaiming_normal_, {"nonlinearity": "tanh"}),
        (orthogonal_, {"gain": 0.7}, nn.init.orthogonal_, {"gain": 0.7}),
        (orthogonal_, {}, nn.init.orthogonal_, {"gain": math.sqrt(2)}),
    ],
)  # fmt: skip  # several values to a line
def test_equal_to_torch_bit_for_bit(module, scheme, parameters, theirs, their_parameters) -> None:
    expected = torch.empty(module.weight.shape)
    theirs(expected, generator=generator(), **their_parameters)
    assert torch.equal(filled(scheme, module, **parameters), expected)


def test_a_weight_that_torch_moves_to_a_far_bound_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch 2.11 moves about one in 2^24."""
    plain = filled(trunc_normal_, nn.Linear(40, 30), std=0.02)
    theirs, drawn = nn.init.trunc_normal_, []

    def of_torch_2_11(tensor: Tensor, mean: float, std: float, a: float, b: float, generator: Generator) -> Tensor:
        theirs(tensor, mean, std, a, b, generator)
        if not drawn:
            tensor[3, 5] = a
        drawn.append(tensor.clone())
        return tensor

    monkeypatch.setattr(nn.init, "trunc_normal_", of_torch_2_11)
    values = filled(trunc_normal_, nn.Linear(40, 30), std=0.02)
    assert values[3, 5] == drawn[1][3, 5]
    values[3, 5] = plain[3, 5]
    assert torch.equal(values, plain)


@pytest.mark.parametrize(
    "scheme, std",
    [(lecun_uniform_, 1 / math.sqrt(180)), (lecun_normal_, 1 / math.sqrt(180)), (kaiming_normal_, math.sqrt(2 / 180))],
)
def test_std_counts_the_inputs_within_a_group(scheme, std: float) -> None:
    tensor = filled(scheme, nn.Conv2d(80, 400, 3, groups=4))
    assert float(tensor.std()) == pytest.approx(std, rel=0.02)
    assert float(tensor.mean()) == pytest.approx(0, abs=0.05 * std)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg", "fan_geo_avg"])
@pytest.mark.parametrize("distribution", ["normal", "truncated_normal", "uniform"])
def test_variance_scaling_has_the_distribution_it_names(mode: str, distribution: str) -> None:
    fan = {"fan_in": 300, "fan_out": 200, "fan_avg": 250, "fan_geo_avg": math.sqrt(60000)}[mode]
    std = 1.5 / math.sqrt(fan)
    tensor = filled(variance_scaling_, nn.Linear(300, 200), gain=1.5, mode=mode, distribution=distribution)
    truncated_std = std / stats.truncnorm(-2, 2).std()
    expected = {
        "normal": stats.norm(scale=std),
        "truncated_normal": stats.truncnorm(-2, 2, scale=truncated_std),
        "uniform": stats.uniform(-math.sqrt(3) * std, 2 * math.sqrt(3) * std),
    }[distribution]
    assert expected.std() == pytest.approx(std)
    assert stats.kstest(tensor.flatten().numpy(), expected.cdf).pvalue > 1e-3


@given(out=st.integers(1, 12), fan_in=st.integers(1, 12), groups=st.integers(1, 3), seed=st.integers(0, 99))
def test_orthogonal_is_orthonormal_in_every_group(out: int, fan_in: int, groups: int, seed: int) -> None:
    module = nn.Conv1d(groups * fan_in, groups * out, 3, groups=groups)
    for matrix in filled(orthogonal_, module, seed, gain=1.0).flatten(1).chunk(groups):
        rows, columns = matrix.shape
        product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
        assert torch.allclose(product, torch.eye(min(rows, columns)), atol=1e-5)


@pytest.mark.parametrize("scheme", [eye_, dirac_])
def test_identity_passes_its_input_through(scheme) -> None:
    linear = nn.Linear(5, 5, bias=False)
    linear.weight.data = filled(scheme, linear)
    x = torch.randn(2, 5)
    assert torch.equal(linear(x), x)
    conv = nn.Conv2d(6, 6, 3, padding=1, groups=2, bias=False)
    conv.weight.data = filled(scheme, conv)
    images = torch.randn(2, 6, 4, 4)
    assert torch.equal(conv(images), images)


def test_identity_is_refused_where_there_is_none() -> None:
    layer = describe_layer("bias", nn.Linear(2, 3), "bias", torch.empty(3))
    with pytest.raises(ValueError, match="matrices and 1, 2 and 3-D"):
        eye_(torch.empty(3), layer, generator())


@given(sparsity=st.floats(0, 0.99), out=st.integers(1, 30))
def test_sparse_zeroes_the_share_it_says_in_every_column(sparsity: float, out: int) -> None:
    tensor = filled(sparse_, nn.Conv2d(2, out, 3), sparsity=sparsity, std=1.0)
    zeros = (tensor.view(out, -1) == 0).sum(dim=0)
    assert zeros.tolist() == [math.ceil(sparsity * out)] * 18


def test_sparse_places_its_zeros_by_the_generator() -> None:
    once, again = (filled(sparse_, nn.Linear(20, 20)) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(once, filled(sparse_, nn.Linear(20, 20), seed=1))


@pytest.mark.parametrize(
    "scheme, parameters, message",
    [
        (sparse_, {"sparsity": 1.0}, r"sparsity must lie in \[0, 1\), got 1.0"),
        (normal_, {"std": -1.0}, "std must not be negative, got -1.0"),
        (uniform_, {"a": 1.0, "b": 0.0}, "a <= b"),
        (trunc_normal_, {"a": 1.0, "b": 0.0}, "a < b"),
        (trunc_normal_, {"mean": 9.0}, "more than two std"),
        (kaiming_normal_, {"mode": "fan-in"}, "unknown mode 'fan-in'. Did you mean 'fan_in'"),
        (variance_scaling_, {"distribution": "gauss"}, "unknown distribution 'gauss'"),
    ],
)
def test_wrong_parameters_are_one_clear_error(scheme, parameters, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        filled(scheme, nn.Linear(4, 4), **parameters)


@pytest.mark.parametrize(
    "mean, std, a, b",
    [(0, 1, -2, 2), (0, 1, 0, 1e-9), (0, 1, 1, 1 + 1e-7), (0.5, 2, -3, 0.6), (0, 0.02, -2, 2), (-1, 0.5, 0, 9)],
)
def test_the_std_of_a_truncated_normal(mean: float, std: float, a: float, b: float) -> None:
    """As drawn; a narrow interval has the density of a uniform one."""
    row = describe(nn.Linear(400, 400), "trunc_normal", mean=mean, std=std, a=a, b=b).iloc[0]
    if b - a < 1e-3 * std:
        assert row["std_expected"] == pytest.approx((b - a) / math.sqrt(12), rel=1e-6)
    else:
        exactly = stats.truncnorm((a - mean) / std, (b - mean) / std, scale=std).std()
        assert row["std_expected"] == pytest.approx(exactly, rel=1e-9)
        assert row["std"] == pytest.approx(row["std_expected"], rel=0.02)


@pytest.mark.parametrize(
    "name, parameters, value",
    [("trunc_normal", {"std": 0}, 0.0), ("trunc_normal", {"std": 0, "mean": 0.5}, 0.5)]
    + [("variance_scaling", {"gain": 0, "distribution": distribution}, 0.0) for distribution in DISTRIBUTIONS]
    + [(name, {"gain": 0}, 0.0) for name in ("orthogonal", "kaiming_normal", "kaiming_uniform", "xavier_normal")]
    + [("normal", {"std": 0, "mean": 2}, 2.0), ("uniform", {"a": 3, "b": 3}, 3.0), ("sparse", {"std": 0}, 0.0)],
)
def test_a_draw_without_spread_is_a_constant(name: str, parameters: dict[str, float | str], value: float) -> None:
    table = describe(nn.Linear(5, 4), name, **parameters)
    assert (table.loc[0, "mean"], table.loc[0, "std"], table.loc[0, "std_expected"]) == (value, 0, 0)


@pytest.mark.parametrize("unused", [{"a": 0.0}, {"a": 0.2}, {"nonlinearity": "tanh"}])
@pytest.mark.parametrize("scheme", [kaiming_normal_, xavier_uniform_, orthogonal_])
def test_a_slope_or_nonlinearity_beside_a_gain_is_refused(scheme: Any, unused: dict[str, Any]) -> None:
    """Zero is a slope too."""
    (key,) = unused
    with pytest.raises(ValueError, match=f"{key}=.* changes nothing, since gain is 2: leave it out, or set gain=null"):
        filled(scheme, nn.Linear(4, 4), gain=2.0, **unused)


@pytest.mark.parametrize("mean, fits", [(2.9, True), (3.1, False), (-2.9, True), (-3.1, False)])
def test_the_mean_of_a_truncated_normal_may_be_two_deviations_outside(mean: float, fits: bool) -> None:
    if fits:
        values = filled(trunc_normal_, nn.Linear(30, 30), mean=mean, std=1.0, a=-1.0, b=1.0)
        assert float(values.abs().max()) <= 1
    else:
        with pytest.raises(ValueError, match=r"more than two std=1\.0 outside"):
            filled(trunc_normal_, nn.Linear(30, 30), mean=mean, std=1.0, a=-1.0, b=1.0)


def test_a_truncated_normal_needs_room() -> None:
    with pytest.raises(ValueError, match=r"trunc_normal needs a < b, got a=1\.0, b=1\.0"):
        filled(trunc_normal_, nn.Linear(4, 4), mean=1.0, a=1.0, b=1.0)
