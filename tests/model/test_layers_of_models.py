"""How many layers each model has, of which kind, and what they look at."""

import pytest
import torch
from loaded import CIFAR, MNIST, load, of_type
from tasks import classifier
from torch import nn

from initbench.model import VGG, autoencoder, gru, lstm, resnet, rnn


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_a_resnet_of_each_depth_has_torchvisions_layers(depth):
    from torchvision import models

    with torch.device("meta"):
        ours = resnet(**CIFAR, depth=depth, stem="imagenet")
        theirs = models.get_model(f"resnet{depth}", num_classes=10)
        small = resnet(**CIFAR, depth=depth)
    assert shapes(ours) == shapes(theirs)
    assert shapes(small) == {**shapes(theirs), "conv1.weight": (64, 3, 3, 3)}
    assert (small.conv1.stride, small.conv1.padding, type(small.maxpool)) == ((1, 1), (1, 1), nn.Identity)
    assert (ours.conv1.stride, ours.conv1.padding, type(ours.maxpool)) == ((2, 2), (3, 3), nn.MaxPool2d)


@pytest.mark.parametrize("depth, column", [(11, "A"), (13, "B"), (16, "D"), (19, "E")])
def test_a_vgg_of_each_depth_has_the_papers_column(depth, column):
    from torchvision.models.vgg import cfgs

    with torch.device("meta"):
        model = VGG(**CIFAR, depth=depth)
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]
    assert ["M" if isinstance(layer, nn.MaxPool2d) else layer.out_channels for layer in layers] == cfgs[column]


@pytest.mark.parametrize(
    "name, overrides, pool",
    [
        ("plain_cnn", {"depth": 3, "width": 4}, "pool"),
        ("resnet20", {"depth": 8, "width": 4}, "pool"),
        ("vgg11", {}, "average"),
    ],
)
def test_scores_are_of_the_mean_over_the_pixels(name, overrides, pool):
    """Of images for which the last maps are larger than a pixel."""
    torch.manual_seed(0)
    model = classifier(load(name, **overrides), in_channels=3, image_size=64, num_classes=5).eval()
    x = torch.randn(2, 3, 64, 64)
    scores = model(x)
    for key, layer in model.named_children():
        if key == pool:
            break
        x = layer(x)
    assert x.shape[-1] > 1
    torch.testing.assert_close(scores, model.classifier(x.mean((2, 3))), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "name, overrides, count",
    [("airbench", {}, 7), ("vit", {"depth": 3}, 3), ("autoencoder", {"widths": [8, 4]}, 4)],
)
def test_nonlinearity_replaces_every_activation_of_the_others_too(name, overrides, count):
    keys = {**load(name, **overrides), "nonlinearity": "tanh"}
    if name == "autoencoder":
        models = [
            autoencoder(
                in_features=256,
                in_channels=1,
                image_size=16,
                kind=kind,
                widths=[8, 4],
                bottleneck=3,
                nonlinearity="tanh",
            )
            for kind in ("dense", "convolutional")
        ]
    else:
        models = [classifier(keys, **CIFAR)]
    for model in models:
        assert len(of_type(model, nn.Tanh)) == count
        assert not [*of_type(model, nn.GELU), *of_type(model, nn.ReLU)]


@pytest.mark.parametrize("name, smallest", [("lenet", 12), ("airbench", 9)])
def test_the_smallest_image_that_is_taken(name, smallest):
    shape = {"in_channels": 3, "num_classes": 4}
    assert classifier(load(name), image_size=smallest, **shape)(torch.randn(2, 3, smallest, smallest)).shape == (2, 4)
    with pytest.raises(ValueError, match=f"at least {smallest}x{smallest} pixels, not {smallest - 1}x{smallest - 1}$"):
        classifier(load(name), image_size=smallest - 1, **shape)


def test_airbench_scales_its_scores_and_looks_at_the_largest_of_each_map():
    torch.manual_seed(0)
    model = classifier(load("airbench", output_scale=0.25), **CIFAR).eval()
    assert model.whiten.out_channels == 2 * 3 * 2 * 2
    x = images = torch.randn(2, 3, 32, 32)
    for key, layer in model.named_children():
        if key == "pool":
            break
        x = layer(x)
    assert x.shape[-2:] == (3, 3)
    torch.testing.assert_close(model(images), 0.25 * x.amax((2, 3)) @ model.classifier.weight.T)


@pytest.mark.parametrize("dropout", [0, 0.3])
def test_an_mlp_drops_units_of_each_hidden_layer(dropout):
    model = classifier(load("mlp", depth=3, dropout=dropout), **MNIST)
    assert [layer.p for layer in of_type(model, nn.Dropout)] == ([0.3] * 3 if dropout else [])
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == ["Flatten", *["Linear", "ReLU", *(["Dropout"] if dropout else [])] * 3, "Linear"]


@pytest.mark.parametrize("norm", ["none", "batch", "group", "fixup"])
def test_convolutions_have_a_bias_only_without_a_norm(norm):
    models = [classifier(load("resnet20", depth=8, norm=norm), **MNIST)]
    if norm != "fixup":
        models.append(classifier(load("plain_cnn", norm=norm), **MNIST))
    for model in models:
        assert {conv.bias is not None for conv in of_type(model, nn.Conv2d)} == {norm == "none"}
        assert model.classifier.bias is not None


@pytest.mark.parametrize("make, kind", [(rnn, nn.RNN), (lstm, nn.LSTM), (gru, nn.GRU)])
@pytest.mark.parametrize("data", [MNIST, {"vocab_size": 9}], ids=["rows", "tokens"])
def test_a_recurrent_network_has_as_many_layers_as_asked(make, kind, data):
    cells = make(**data, hidden_size=5, num_layers=3).recurrent
    assert isinstance(cells, kind)
    assert (cells.num_layers, cells.hidden_size, cells.batch_first) == (3, 5, True)
    assert cells.input_size == (28 if data is MNIST else 5)
    assert make(**data, hidden_size=5).recurrent.num_layers == 1


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_the_simple_recurrent_network_has_the_nonlinearity_asked_for(nonlinearity):
    assert rnn(vocab_size=9, hidden_size=5, nonlinearity=nonlinearity).recurrent.nonlinearity == nonlinearity
    assert rnn(vocab_size=9, hidden_size=5).recurrent.nonlinearity == "tanh"


@pytest.mark.parametrize("missing", ["in_channels", "image_size", "num_classes"])
def test_a_reader_of_rows_needs_to_know_all_of_an_image(missing):
    with pytest.raises(ValueError, match="it classifies images or predicts the tokens of a text"):
        gru(**{key: value for key, value in MNIST.items() if key != missing}, hidden_size=5)
