"""Derivatives of activations, dead units and saturated entries."""

import pytest
import torch
from torch import nn

from initbench.diagnostics.activation import dead_and_saturated, derivative
from initbench.model.layers import ACTIVATIONS


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"linear"}))
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    module = ACTIVATIONS[name]().double()
    z = torch.linspace(-4, 4, 101, dtype=torch.float64) + 0.0123  # off the kinks
    with torch.no_grad():
        differences = (module(z + 1e-6) - module(z - 1e-6)) / 2e-6
    torch.testing.assert_close(derivative(module, z), differences, rtol=1e-4, atol=1e-6)


def test_a_unit_is_alive_that_lets_one_sample_through() -> None:
    z = torch.tensor([[-1.0, -1.0], [-1.0, 1.0]])
    assert dead_and_saturated(nn.ReLU(), z, -1) == (0.5, 0.75)
