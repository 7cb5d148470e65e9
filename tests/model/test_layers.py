"""Activations and norms by name: the names agree with the gains, the shapes with torch."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init import nonlinearity_of
from initbench.init.gain import NONLINEARITIES
from initbench.init.gain import named as nonlinearity
from initbench.model.layers import ACTIVATIONS, activation, named, norm1d, norm2d, widths


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"linear", "prelu"}))
def test_activation_is_torchs_function_of_that_name(name):
    function = getattr(torch, name, None) or getattr(F, name)
    x = torch.linspace(-5, 5, 101)
    torch.testing.assert_close(activation(name)(x), function(x))


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) & set(NONLINEARITIES)))
def test_initializers_recognise_the_activation(name):
    found, x = nonlinearity_of(nn.Sequential(nn.Linear(2, 2), activation(name))), torch.linspace(-5, 5, 101)
    assert torch.equal(found(x), nonlinearity(name)(x))
    assert found.gain == nonlinearity(name).gain


def test_only_the_sine_and_the_gated_unit_have_a_gain_but_no_module():
    assert set(NONLINEARITIES) - set(ACTIVATIONS) == {"sin", "glu"}


def test_linear_is_the_identity():
    x = torch.randn(3)
    assert torch.equal(activation("linear")(x), x)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_norm1d_standardises(norm):
    layer = norm1d(norm, 64)
    out = layer(3 + 2 * torch.randn(32, 64))
    dim = 0 if norm == "batch" else 1
    torch.testing.assert_close(out.mean(dim), torch.zeros(out.shape[1 - dim]), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(dim, unbiased=False), torch.ones(out.shape[1 - dim]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("channels,groups", [(16, 16), (64, 32), (48, 16), (3, 1)])
def test_group_norm_divides_the_channels(channels, groups):
    layer = norm2d("group", channels)
    assert layer.num_groups == groups
    assert layer(torch.randn(2, channels, 4, 4)).shape == (2, channels, 4, 4)


def test_none_is_no_module():
    assert norm1d("none", 3) is None
    assert norm2d("none", 3) is None
    layers = named({"conv": nn.Identity(), "norm": norm2d("none", 3), "activation": nn.ReLU()})
    assert list(layers) == ["conv", "activation"]


def test_widths():
    assert widths(8, 3, "depth") == [8, 8, 8]
    assert widths((1, 2), 2, "depth") == [1, 2]
    with pytest.raises(ValueError, match=r"^width lists 2 values but depth is 3; set depth=2$"):
        widths([1, 2], 3, "depth")
