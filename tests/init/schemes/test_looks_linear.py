"""Looks-linear weights: their blocks, the linear map that they compute, and what is refused."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from initbench.init import describe, initialize


def mlp(*widths: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    parts: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        parts += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*parts[:-1])


def jacobian(model: nn.Module, x: Tensor) -> Tensor:
    return torch.autograd.functional.jacobian(lambda x: model(x[None])[0].flatten(), x).flatten(1)


def test_blocks_of_the_first_the_hidden_and_the_last_layer() -> None:
    model = initialize(mlp(5, 12, 8, 3), "looks_linear")
    first, hidden, last = (layer.weight.detach() for layer in model[::2])
    assert torch.equal(first[:6], -first[6:])
    v = hidden[:4, :6]
    assert torch.equal(hidden, torch.cat([torch.cat([v, -v], 1), torch.cat([-v, v], 1)]))
    assert torch.equal(last[:, :4], -last[:, 4:])
    for core in (first[:6].T, v, last[:, :4]):
        torch.testing.assert_close(core @ core.T, torch.eye(len(core)))


def test_a_single_layer_is_orthogonal() -> None:
    weight = initialize(nn.Sequential(nn.Linear(5, 3)), "looks_linear")[0].weight.detach()
    torch.testing.assert_close(weight @ weight.T, torch.eye(3))


@pytest.mark.parametrize(
    "activation", [nn.ReLU, nn.GELU, nn.SiLU, nn.Hardswish, nn.PReLU, lambda: nn.LeakyReLU(0.3), nn.Identity]
)
def test_the_network_is_a_linear_isometry_at_any_depth(activation: Callable[[], nn.Module]) -> None:
    model = initialize(mlp(6, *[16] * 50, 8, activation=activation), "looks_linear")
    x, y = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(2 * x - 3 * y), 2 * model(x) - 3 * model(y), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(torch.linalg.svdvals(jacobian(model, x)), torch.ones(6), atol=1e-3, rtol=0)


def test_a_convolutional_network_is_linear_and_keeps_norms() -> None:
    layers: list[nn.Module] = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU()]
    for _ in range(10):
        layers += [nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
    model = initialize(nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 9, 18)), "looks_linear")
    x = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(torch.linalg.svdvals(jacobian(model, x)), torch.ones(18), atol=1e-4, rtol=0)
    torch.testing.assert_close(model(-x[None]), -model(x[None]), atol=1e-5, rtol=1e-5)
    kernel = model[2].weight.detach()
    assert torch.equal(kernel[:2, :2], -kernel[2:, :2])
    kernel[:, :, 1, 1] = 0
    assert not kernel.any()


def test_batch_norm_keeps_the_symmetry() -> None:
    model = initialize(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4)), "looks_linear")
    x = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(-x), -model(x))


def test_expected_std() -> None:
    table = describe(nn.Sequential(nn.Conv2d(2, 64, 3), nn.ReLU(), nn.Conv2d(64, 96, 3)), "looks_linear")
    expected = [1 / math.sqrt(32 * 9), 1 / math.sqrt(96 * 9)]
    for row, std in zip((table.iloc[0], table.iloc[2]), expected, strict=True):
        assert row["std_expected"] == pytest.approx(std)
        assert row["std"] == pytest.approx(std, rel=1e-3)


def test_a_functional_activation_can_be_named() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 8), nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(torch.relu(self.one(x)))

    x = torch.randn(4, generator=torch.Generator().manual_seed(0))
    model = initialize(Functional(), "looks_linear", nonlinearity="relu")
    torch.testing.assert_close(torch.linalg.svdvals(jacobian(model, x)), torch.ones(4), atol=1e-5, rtol=0)


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        return x + self.two(x.relu())


@pytest.mark.parametrize(
    "model, message",
    [
        (mlp(4, 8, 2, activation=nn.Tanh), r"phi\(x\) - phi\(-x\) is not a multiple of x for tanh"),
        (mlp(4, 8, 2, activation=lambda: nn.LeakyReLU(-1.0)), "is not a multiple of x for leaky_relu"),
        (mlp(4, 7, 2), r"0\.weight has shape \(7, 4\): looks_linear mirrors the hidden units.*must be even"),
        (nn.Sequential(nn.Conv2d(4, 8, 3, groups=2)), r"0\.weight is that of a grouped convolution"),
        (nn.LSTM(4, 4), "weight_ih_l0 is that of stacked gates or projections"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 1)), "at least as many outputs as inputs"),
        (nn.Sequential(nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3)), "2.weight"),
        (Skip(), "Skip has skip connections"),
    ],
    ids=["tanh", "absolute value", "odd width", "groups", "gates", "wide first", "narrowing", "skip"],
)
def test_what_has_no_looks_linear_form_is_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initialize(model, "looks_linear", **({"nonlinearity": "relu"} if isinstance(model, Skip) else {}))


def test_a_bias_is_refused() -> None:
    with pytest.raises(ValueError, match="looks_linear is defined on weight matrices only"):
        initialize(mlp(4, 8, 2), "normal", bias="looks_linear")


def test_a_layer_that_reads_an_odd_number_of_hidden_units_is_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.AdaptiveAvgPool1d(3), nn.Linear(3, 2))
    with pytest.raises(ValueError, match=r"3\.weight has shape \(2, 3\): looks_linear mirrors the hidden units"):
        initialize(model, "looks_linear")


def test_a_convolution_with_as_many_inputs_as_outputs_is_allowed() -> None:
    weight = initialize(nn.Sequential(nn.Conv2d(3, 3, 3)), "looks_linear")[0].weight.detach()[:, :, 1, 1]
    torch.testing.assert_close(weight @ weight.T, torch.eye(3))
