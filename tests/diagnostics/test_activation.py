"""Derivatives of activations, and which modules are any."""

import pytest
import torch
from torch import nn

from initbench.diagnostics.activation import dead_and_saturated, derivative, is_activation
from initbench.model.layers import ACTIVATIONS


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"linear"}))
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    module = ACTIVATIONS[name]().double()
    assert is_activation(module)
    z = torch.linspace(-4, 4, 101, dtype=torch.float64) + 0.0123  # off the kinks
    with torch.no_grad():
        differences = (module(z + 1e-6) - module(z - 1e-6)) / 2e-6
    torch.testing.assert_close(derivative(module, z), differences, rtol=1e-4, atol=1e-6)


def test_modules_that_mix_their_entries_are_no_activations() -> None:
    for module in (nn.Softmax(1), nn.GLU(), nn.MultiheadAttention(4, 2), nn.Identity(), nn.Flatten(), nn.Dropout()):
        assert not is_activation(module)


def test_timms_own_activations_count() -> None:
    activations = pytest.importorskip("timm.layers.activations", reason="needs the extra `timm`")
    assert is_activation(activations.Swish())
    assert is_activation(activations.GELU())


def test_a_unit_is_alive_that_lets_one_sample_through() -> None:
    z = torch.tensor([[-1.0, -1.0], [-1.0, 1.0]])
    assert dead_and_saturated(nn.ReLU(), z, -1) == (0.5, 0.75)
