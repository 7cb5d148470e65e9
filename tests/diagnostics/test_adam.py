"""The preconditioner of Adam, and the learning rate above which it is unstable."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from initbench.diagnostics.adam import preconditioner, threshold


def trained(steps: int, **settings: Any) -> tuple[torch.optim.Adam, nn.Parameter, list[Tensor]]:
    """Adam after steps with random gradients, its parameter, and these gradients."""
    generator = torch.Generator().manual_seed(0)
    parameter = nn.Parameter(torch.zeros(3, 2))
    optimizer = torch.optim.Adam([parameter], eps=0.01, **settings)
    gradients = [torch.randn(3, 2, generator=generator) for _ in range(steps)]
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
    return optimizer, parameter, gradients


def test_before_the_first_step_it_is_what_it_will_be_after_it() -> None:
    before, parameter, _ = trained(0)
    after, other, (gradient,) = trained(1)
    now = preconditioner(before, [parameter], [gradient])
    torch.testing.assert_close(now, (gradient.abs() + 0.01).flatten())
    torch.testing.assert_close(now, preconditioner(after, [other], [torch.zeros(3, 2)]))
    assert not before.state


@pytest.mark.parametrize("amsgrad", [False, True])
def test_it_is_what_a_step_is_divided_by(amsgrad: bool) -> None:
    """After a step, the parameter has changed by the learning rate times the corrected first moment, divided by it."""
    optimizer, parameter, _ = trained(5, amsgrad=amsgrad, lr=0.1, betas=(0.8, 0.95))
    before = parameter.detach().clone()
    parameter.grad = torch.full((3, 2), 0.01)
    optimizer.step()
    first = optimizer.state[parameter]["exp_avg"] / (1 - 0.8**6)
    divided = 0.1 * first.flatten() / preconditioner(optimizer, [parameter], [torch.zeros(3, 2)])
    torch.testing.assert_close((before - parameter.detach()).flatten(), divided)


def test_a_parameter_with_another_learning_rate_has_another_divisor() -> None:
    """A rate of 0 leaves the parameter where it is."""
    one, other, still = (nn.Parameter(torch.zeros(2)) for _ in range(3))
    groups = [{"params": [p], "lr_multiplier": m} for p, m in ((one, 1.0), (other, 0.25), (still, 0.0))]
    gradients = [torch.full((2,), 0.5)] * 3
    found = preconditioner(torch.optim.AdamW(groups, eps=0.0), [one, other, still], gradients)
    assert found.tolist() == [0.5, 0.5, 2.0, 2.0, torch.inf, torch.inf]


def test_a_parameter_that_the_optimizer_lacks_is_refused() -> None:
    optimizer, _, _ = trained(0)
    with pytest.raises(ValueError, match="the optimizer lacks a parameter of the model"):
        preconditioner(optimizer, [nn.Parameter(torch.zeros(3))], [torch.zeros(3)])


@pytest.mark.parametrize("decay, rate", [(0.9, 38), (0.0, 2), (0.5, 6)])
def test_above_the_threshold_a_quadratic_is_left(decay: float, rate: float) -> None:
    """Momentum as Adam's, without its bias correction and with P = 1: 1 % below it converges, 1 % above it does not."""
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], betas=(decay, 0.999))
    assert threshold(optimizer) == pytest.approx(rate)
    for factor, converges in ((0.99, True), (1.01, False)):
        weight, first = 1.0, 0.0
        for _ in range(20_000):
            first = decay * first + (1 - decay) * weight  # the gradient of weight^2 / 2
            weight -= factor * threshold(optimizer) * first
            if abs(weight) > 1e6:
                break
        assert (abs(weight) < 1e-6) == converges
