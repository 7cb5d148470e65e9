"""Gains against torch's table and against the property that defines them."""

import math

import pytest
import torch
from torch import nn

from initbench import describe
from initbench.init import nonlinearity_of
from initbench.init.gain import NONLINEARITIES, TORCH_TABLE, Nonlinearity, calculate_gain, named


@pytest.mark.parametrize("name", TORCH_TABLE)
def test_torchs_table_is_torchs(name: str) -> None:
    assert calculate_gain(name) == nn.init.calculate_gain(name)


def test_leaky_relu_depends_on_its_slope() -> None:
    assert calculate_gain("leaky_relu", 1.0) == pytest.approx(1.0)
    assert calculate_gain("leaky_relu", 0.0) == pytest.approx(math.sqrt(2))


def test_a_function_that_works_in_place_has_the_gain_of_its_values() -> None:
    """For squares E[z^4] = 3."""
    x = torch.linspace(-2, 2, 5)
    square = Nonlinearity("Square", function=lambda z: z.mul_(z))
    assert square(x).tolist() == [4, 1, 0, 1, 4]
    assert x.tolist() == [-2, -1, 0, 1, 2]
    assert calculate_gain(square) == pytest.approx(1 / math.sqrt(3))
    assert calculate_gain(nonlinearity_of(nn.ReLU(inplace=True))) == pytest.approx(math.sqrt(2))
    assert calculate_gain(nonlinearity_of(nn.SiLU(inplace=True))) == pytest.approx(calculate_gain("silu"))


@pytest.mark.parametrize(
    "module", [nn.GELU(), nn.SiLU(), nn.Mish(), nn.ELU(), nn.Softplus(), nn.Hardswish(), nn.ReLU6()]
)
def test_gain_keeps_the_second_moment(module: nn.Module) -> None:
    """phi(z) scaled by the gain has second moment 1, up to the error of ten million samples."""
    z = torch.randn(10_000_000, generator=torch.Generator().manual_seed(0))
    gain = calculate_gain(nonlinearity_of(module))
    assert float((gain * module(z)).pow(2).mean()) == pytest.approx(1.0, abs=3e-3)


def test_softsign_agrees_with_an_independent_integral() -> None:
    from scipy.integrate import quad
    from scipy.stats import norm

    moment, _ = quad(lambda z: (z / (1 + abs(z))) ** 2 * norm.pdf(z), -12, 12)
    assert calculate_gain("softsign") == pytest.approx(moment**-0.5, rel=1e-7)


@pytest.mark.parametrize("module", [nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.LeakyReLU(0.2), nn.SELU(), nn.GELU()])
def test_an_activation_is_that_of_its_module(module: nn.Module) -> None:
    x = torch.linspace(-5, 5, 101)
    assert torch.equal(nonlinearity_of(module)(x), module(x))
    assert torch.equal(named("linear")(x), x)


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
    assert calculate_gain(kind) == nonlinearity_of(module).gain


def test_every_name_has_a_positive_gain() -> None:
    assert all(calculate_gain(name) > 0 for name in NONLINEARITIES)


def test_the_gain_of_a_gated_unit_keeps_the_second_moment() -> None:
    pairs = torch.randn(4_000_000, 2, generator=torch.Generator().manual_seed(0))
    assert float((calculate_gain("glu") * nn.GLU()(pairs)).pow(2).mean()) == pytest.approx(1.0, abs=4e-3)
    with pytest.raises(ValueError, match="glu multiplies one half"):
        named("glu")(pairs)


@pytest.mark.parametrize("value", [None, 3, 0.5, True, nn.ReLU, nn.ReLU(), ["relu"]])
def test_what_is_no_name_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"unknown nonlinearity .* Allowed: celu"):
        calculate_gain(value)  # type: ignore[arg-type]  # which is what is refused
