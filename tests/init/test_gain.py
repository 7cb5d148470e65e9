"""Gains against torch's table and against the property that defines them."""

import math

import pytest
import torch
from torch import nn

from initbench import describe
from initbench.init.gain import NONLINEARITIES, TORCH_TABLE, activation, calculate_gain, nonlinearity_of


@pytest.mark.parametrize("name", TORCH_TABLE)
def test_torchs_table_is_torchs(name: str) -> None:
    assert calculate_gain(name) == nn.init.calculate_gain(name)


def test_leaky_relu_depends_on_its_slope() -> None:
    assert calculate_gain("leaky_relu", 1.0) == pytest.approx(1.0)
    assert calculate_gain("leaky_relu", 0.0) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    "module", [nn.GELU(), nn.SiLU(), nn.Mish(), nn.ELU(), nn.Softplus(), nn.Hardswish(), nn.ReLU6()]
)
def test_gain_keeps_the_second_moment(module: nn.Module) -> None:
    """phi(z) scaled by the gain has second moment 1, up to the error of ten million samples."""
    z = torch.randn(10_000_000, generator=torch.Generator().manual_seed(0))
    gain = calculate_gain(nonlinearity_of(module)[0])
    assert float((gain * module(z)).pow(2).mean()) == pytest.approx(1.0, abs=3e-3)


def test_softsign_agrees_with_an_independent_integral() -> None:
    from scipy.integrate import quad
    from scipy.stats import norm

    moment, _ = quad(lambda z: (z / (1 + abs(z))) ** 2 * norm.pdf(z), -12, 12)
    assert calculate_gain("softsign") == pytest.approx(moment**-0.5, rel=1e-7)


@pytest.mark.parametrize("module", [nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.LeakyReLU(0.2), nn.SELU(), nn.GELU()])
def test_an_activation_is_that_of_its_module(module: nn.Module) -> None:
    x = torch.linspace(-5, 5, 101)
    assert torch.equal(activation(*nonlinearity_of(module))(x), module(x))
    assert torch.equal(activation("linear")(x), x)


def test_unknown_nonlinearity_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"'rellu'.* Did you mean 'relu'\? Allowed: .*gelu"):
        calculate_gain("rellu")


CONVOLUTIONS = [f"conv{kind}{axes}d" for kind in ("", "_transpose") for axes in (1, 2, 3)]


@pytest.mark.parametrize("name", ["linear", *CONVOLUTIONS, "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
@pytest.mark.parametrize("slope", [None, 0.3])
def test_what_torch_takes_has_torchs_gain(name: str, slope: float | None) -> None:
    assert calculate_gain(name, slope) == nn.init.calculate_gain(name, slope)
    table = describe(nn.Linear(4, 4), "kaiming_normal", nonlinearity=name)
    assert table.loc[0, "std_expected"] == pytest.approx(nn.init.calculate_gain(name) / 2)


@pytest.mark.parametrize("module", [nn.ReLU(), nn.GELU(), nn.SELU(), nn.Identity(), nn.Linear(1, 1), nn.Hardswish()])
def test_the_name_of_a_module_is_that_of_its_activation(module: nn.Module) -> None:
    kind = type(module).__name__
    assert calculate_gain(kind) == calculate_gain(nonlinearity_of(module)[0])


@pytest.mark.parametrize(
    "module, expected",
    [
        (nn.PReLU(init=0.5), ("leaky_relu", 0.5)),
        (nn.PReLU(8), ("leaky_relu", 0.25)),
        (nn.LSTMCell(3, 4), ("tanh", 0.01)),
        (nn.GRUCell(3, 4), ("tanh", 0.01)),
        (nn.RNNCell(3, 4, nonlinearity="relu"), ("relu", 0.01)),
        (nn.RNN(3, 4, nonlinearity="relu"), ("relu", 0.01)),
        (nn.TransformerEncoderLayer(8, 2, 16, activation="gelu"), ("gelu", 0.01)),
        (nn.TransformerEncoderLayer(8, 2, 16, activation=torch.tanh), ("tanh", 0.01)),
        (nn.TransformerDecoderLayer(8, 2, 16), ("relu", 0.01)),
        (nn.TransformerEncoderLayer(8, 2, 16, activation=nn.SiLU()), ("silu", 0.01)),
        (nn.Sequential(nn.Linear(2, 2)), ("linear", 0.01)),
    ],
)
def test_the_activation_that_is_there_is_found(module: nn.Module, expected: tuple[str, float]) -> None:
    assert nonlinearity_of(module) == expected


@pytest.mark.parametrize("bounds", [(1 / 8, 1 / 3), (0.0, 0.9)])
def test_a_random_slope_keeps_the_second_moment(bounds: tuple[float, float]) -> None:
    module = nn.RReLU(*bounds).train()
    z = torch.randn(4_000_000, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        out = module(z)
    assert float((calculate_gain(*nonlinearity_of(module)) * out).pow(2).mean()) == pytest.approx(1.0, abs=4e-3)


def test_every_name_has_a_positive_gain() -> None:
    assert all(calculate_gain(name) > 0 for name in NONLINEARITIES)


def test_the_most_frequent_activation_counts() -> None:
    model = nn.Sequential(nn.Tanh(), nn.LeakyReLU(0.2), nn.LeakyReLU(0.2))
    assert nonlinearity_of(model) == ("leaky_relu", 0.2)
    assert nonlinearity_of(nn.Linear(2, 2))[0] == "linear"
    assert nonlinearity_of(nn.PReLU()) == ("leaky_relu", 0.25)
    assert nonlinearity_of(nn.LSTM(2, 2))[0] == "tanh"
    assert nonlinearity_of(nn.RNN(2, 2, nonlinearity="relu"))[0] == "relu"
