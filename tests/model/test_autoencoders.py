"""Encoders and their mirror images."""

from typing import Any

import pytest
import torch
from torch import nn

from initbench.model import autoencoder


def test_layers_of_a_dense_one() -> None:
    model = autoencoder(in_features=48, in_channels=3, image_size=4, widths=[20, 10], bottleneck=5)
    shapes = [tuple(layer.weight.shape) for layer in model if isinstance(layer, nn.Linear)]
    assert shapes == [(20, 48), (10, 20), (5, 10), (10, 5), (20, 10), (48, 20)]
    kinds = [type(layer).__name__ for layer in model]
    # Neither the code nor the outputs are cut off at zero.
    assert kinds == ["Flatten", *["Linear", "ReLU"] * 2, "Linear", *["Linear", "ReLU"] * 2, "Linear", "Unflatten"]
    assert model(torch.randn(2, 3, 4, 4)).shape == (2, 3, 4, 4)


def test_rows_stay_rows() -> None:
    assert autoencoder(in_features=7, widths=[5], bottleneck=2)(torch.randn(3, 7)).shape == (3, 7)


def test_layers_of_a_convolutional_one() -> None:
    model = autoencoder(
        in_features=768, in_channels=3, image_size=16, kind="convolutional", widths=[4, 8], bottleneck=5
    )
    sides, x = [], torch.randn(2, 3, 16, 16)
    for layer in model:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            sides.append(tuple(x.shape[1:3]))
    assert sides == [(4, 8), (8, 4), (4, 8), (3, 16)]
    assert x.shape == (2, 3, 16, 16)
    assert isinstance(model[-1], nn.ConvTranspose2d)
    assert not isinstance(model[list(dict(model.named_children())).index("encode") + 1], nn.ReLU)


@pytest.mark.parametrize(
    "shape, said",
    [
        ({"in_features": 7}, "kind=convolutional needs images"),
        ({"in_features": 784, "in_channels": 1, "image_size": 28}, "3 widths halve the image so often, and 28 pixels"),
    ],
)
def test_what_cannot_be_halved_is_refused(shape: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        autoencoder(**shape, kind="convolutional", widths=[2, 2, 2], bottleneck=3)


def test_the_outputs_and_the_code_of_a_convolutional_one_are_any_numbers() -> None:
    model = autoencoder(
        in_features=768, in_channels=3, image_size=16, kind="convolutional", widths=[4, 8], bottleneck=5
    )
    assert [type(layer).__name__ for layer in model] == [
        *["Conv2d", "ReLU"] * 2,
        *["Flatten", "Linear", "Linear", "Unflatten"],
        *["ReLU", "ConvTranspose2d"] * 2,
    ]


def test_a_dense_one_of_one_layer_has_no_activation() -> None:
    model = autoencoder(in_features=7, widths=[], bottleneck=2)
    assert [type(layer).__name__ for layer in model] == ["Flatten", "Linear", "Linear", "Unflatten"]
