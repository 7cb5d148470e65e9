"""Curvature where everything is known by hand: critical rates, and noise that is planted."""

import copy

import pytest
import torch
from torch import Tensor, nn

from initbench import curvature


class Quadratic(nn.Module):
    """With `squares` as its loss and inputs whose squares are `curvatures`: sum(curvatures * weight^2) / 2."""

    def __init__(self, curvatures: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(len(curvatures)))
        self.inputs = curvatures.sqrt().expand(8, -1)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.weight * inputs


def squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.square().sum(dim=1).mean() / 2


@pytest.mark.parametrize("momentum, nesterov, times", [(0.0, False, 1), (0.9, False, 1.9), (0.9, True, 1.9 / 2.8)])
def test_gradient_descent_is_stable_below_the_critical_rate_and_not_above_it(
    momentum: float, nesterov: bool, times: float
) -> None:
    """With momentum b, the rate is 1 + b times as large; with that of Nesterov, (1 + b) / (1 + 2 b) times."""
    model = Quadratic(torch.linspace(0.1, 4, 50))
    found = curvature(model, (model.inputs, torch.zeros(8)), loss=squares)
    assert found.hessian_largest == pytest.approx(4, rel=0.01)
    assert found.critical_learning_rate == pytest.approx(0.5, rel=0.01)
    for factor, converges in ((0.95, True), (1.05, False)):
        trained = copy.deepcopy(model)
        rate = factor * times * found.critical_learning_rate
        optimizer = torch.optim.SGD(trained.parameters(), lr=rate, momentum=momentum, nesterov=nesterov)
        for _ in range(600):
            optimizer.zero_grad()
            squares(trained(trained.inputs), torch.zeros(8)).backward()
            optimizer.step()
        assert (float(trained.weight.detach().abs().max()) < 1e-3) == converges


def test_on_a_quadratic_in_one_direction_the_loss_is_the_same_at_the_critical_rate() -> None:
    """(1 - s l)^2 times what it was: 1, 9/16, 1/4, 0, 1 and 9 for the steps s."""
    model = Quadratic(torch.tensor([4.0]))
    found = curvature(model, (model.inputs, torch.zeros(8)), loss=squares)
    assert found.loss_along_gradient == pytest.approx([2, 9 / 8, 1 / 2, 0, 2, 18], abs=1e-6)


def test_the_noise_scale_is_that_of_planted_gradients() -> None:
    """The gradient of a sample is the sample itself."""
    model = Quadratic(torch.ones(200))
    std = torch.linspace(0.5, 2, 200)
    inputs = 0.3 + std * torch.randn(1024, 200, generator=torch.Generator().manual_seed(0))
    found = curvature(model, (inputs, torch.zeros(1024)), loss=lambda outputs, _: outputs.sum(dim=1).mean())
    assert found.gradient_noise_scale == pytest.approx(float(std.square().sum()) / (200 * 0.09), rel=0.1)
    assert found.hessian_largest == 0  # the loss is linear
    assert "no learning rate is too high" in found.missing["critical_learning_rate"]


def test_noise_that_hides_the_gradient_is_told() -> None:
    model = Quadratic(torch.ones(30))
    inputs = torch.eye(30)[:16] - torch.eye(30)[:16].mean(dim=0)
    found = curvature(model, (inputs, torch.zeros(16)), loss=lambda outputs, _: outputs.sum(dim=1).mean())
    assert found.gradient_noise_scale is None
    assert "too small to tell the gradient from 0" in found.missing["gradient_noise_scale"]


def test_a_loss_that_is_curved_downwards_has_no_critical_rate() -> None:
    model = Quadratic(torch.linspace(1, 4, 50))
    found = curvature(model, (model.inputs, torch.zeros(8)), loss=lambda out, y: -squares(out, y))
    assert found.hessian_largest == pytest.approx(-1, rel=0.01)
    assert found.critical_learning_rate is None
    assert "no learning rate is too high" in found.missing["critical_learning_rate"]
