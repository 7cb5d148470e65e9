"""The gradient noise scale against gradients whose mean and covariance are planted."""

import pytest
import torch
from torch import Tensor

from initbench.diagnostics.noise import noise_scale, signal_and_noise


def gradients(micro_batches: int, samples: int, seed: int, mean: float = 1.0) -> list[Tensor]:
    """Means over `samples` draws of 50 numbers with means `mean` / 5 and standard deviations from 0.5 to 2."""
    generator = torch.Generator().manual_seed(seed)
    std = torch.linspace(0.5, 2, 50)
    draws = torch.randn(micro_batches, samples, 50, generator=generator) * std + mean / 5
    return list(draws.mean(dim=1))


@pytest.mark.parametrize("samples", [1, 4])
@pytest.mark.parametrize("micro_batches", [2, 16])
def test_signal_and_noise_are_unbiased(micro_batches: int, samples: int) -> None:
    """By simulation, within four standard errors of what is planted; a biased signal would be off by the noise / N."""
    found = [signal_and_noise(gradients(micro_batches, samples, seed), samples) for seed in range(2000)]
    means, errors = torch.tensor(found).mean(dim=0), torch.tensor(found).std(dim=0) / 2000**0.5
    planted = torch.tensor([50 / 25, float(torch.linspace(0.5, 2, 50).square().sum())])
    assert ((means - planted).abs() < 4 * errors).all(), (means, planted, errors)


def test_the_scale_is_their_ratio_and_does_not_depend_on_the_size_of_the_batch() -> None:
    planted = float(torch.linspace(0.5, 2, 50).square().sum()) / 2
    for samples in (64, 512):
        assert noise_scale(gradients(16, samples, seed=1), samples) == pytest.approx(planted, rel=0.15)


def test_equal_gradients_have_no_noise() -> None:
    gradient = torch.randn(100, generator=torch.Generator().manual_seed(0))
    for micro_batches in (2, 3, 16):
        assert noise_scale([gradient] * micro_batches, 8) == pytest.approx(0, abs=1e-12)


def test_gradients_that_underflow_when_squared_are_seen() -> None:
    small = [1e-30 * gradient for gradient in gradients(16, 64, seed=1)]
    assert noise_scale(small, 64) == pytest.approx(noise_scale(gradients(16, 64, seed=1), 64), rel=1e-4)


@pytest.mark.parametrize("found", [gradients(4, 1, seed=0, mean=0), [torch.zeros(3)] * 4], ids=["noise", "zero"])
def test_a_gradient_that_cannot_be_told_from_zero_has_no_scale(found: list[Tensor]) -> None:
    with pytest.raises(ValueError, match="this batch is too small to tell the gradient from 0"):
        noise_scale(found, 1)


def test_a_gradient_that_is_not_finite_has_no_scale() -> None:
    with pytest.raises(ValueError, match="the gradient is not finite"):
        noise_scale([torch.full((3,), torch.nan)] * 4, 1)
