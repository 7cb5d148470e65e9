"""model=timm and model=torchvision: architectures of different families, options, errors."""

import sys

import pytest
import torch
from tasks import classifier
from torch import nn
from torchvision import models

CIFAR = {"in_channels": 3, "image_size": 32, "num_classes": 10}
MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}


def timm_cfg(name, **options):
    return {"_target_": "initbench.model.timm_model", "name": name, "architecture": "${.name}", **options}


def torchvision_cfg(name, **options):
    target = "initbench.model.torchvision_model"
    return {"_target_": target, "name": name, "architecture": "${.name}", **options}


def trains(model, in_channels, image_size, num_classes):
    scores = model(torch.randn(2, in_channels, image_size, image_size))
    assert scores.shape == (2, num_classes)
    scores.logsumexp(1).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    "name,options,data",
    [
        ("vit_tiny_patch16_224", {"depth": 2}, CIFAR),
        ("vit_tiny_patch16_224", {"depth": 2, "patch_size": 4, "drop_path_rate": 0.1}, MNIST),
        ("resnet10t", {}, MNIST),
        ("convnext_atto", {}, CIFAR),
    ],
)
def test_timm(name, options, data):
    trains(classifier(timm_cfg(name, **options), **data), **data)


def test_timm_is_told_the_image_size():
    model = classifier(timm_cfg("vit_tiny_patch16_224", depth=1, patch_size=4), **MNIST)
    assert model.patch_embed.num_patches == 7 * 7
    assert model.pos_embed.shape == (1, 1 + 7 * 7, 192)


def test_timm_pads_an_image_that_patches_do_not_tile():
    model = classifier(timm_cfg("vit_tiny_patch16_224", depth=1), **MNIST).eval()
    assert model.pos_embed.shape == (1, 1 + 2 * 2, 192)  # 28 pixels are two patches of 16
    image = torch.zeros(1, 1, 28, 28)
    corner = image.clone()
    corner[..., -1, -1] = 1  # the pixel that would have been dropped
    assert not torch.equal(model(image), model(corner))
    trains(classifier(timm_cfg("vit_tiny_patch16_224", depth=1), **MNIST), **MNIST)


def test_timm_has_its_published_size():
    model = classifier(timm_cfg("vit_tiny_patch16_224"), in_channels=3, image_size=224, num_classes=1000)
    assert sum(parameter.numel() for parameter in model.parameters()) == 5_717_416  # timm's 5.72M


def test_timm_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)  # Python's own way to make an import fail
    with pytest.raises(ValueError, match=r"model resnet18: timm is not installed: pip install 'initbench\[timm\]'"):
        classifier(timm_cfg("resnet18"), **CIFAR)


@pytest.mark.parametrize(
    "name,data", [("mobilenet_v3_small", MNIST), ("shufflenet_v2_x0_5", CIFAR), ("googlenet", CIFAR)]
)
def test_torchvision(name, data):
    trains(classifier(torchvision_cfg(name), **data), **data)


def test_torchvision_vit_is_told_the_image_size():
    model = classifier(torchvision_cfg("vit_b_32", dropout=0.1), **CIFAR)
    assert model.encoder.pos_embedding.shape == (1, 1 + 1, 768)
    assert model.dropout == 0.1


@pytest.mark.parametrize("name", ["squeezenet1_1", "convnext_tiny", "densenet121", "mnasnet0_5"])
def test_first_convolution_takes_the_images_channels(name):
    from initbench.model import torchvision_model

    ours = torchvision_model(in_channels=2, image_size=64, num_classes=10, architecture=name)
    theirs = models.get_model(name, num_classes=10)
    shapes = {key: tuple(value.shape) for key, value in ours.state_dict().items()}
    expected = {key: tuple(value.shape) for key, value in theirs.state_dict().items()}
    changed = [key for key in expected if shapes[key] != expected[key]]
    assert shapes.keys() == expected.keys()
    assert changed == [next(key for key, value in theirs.named_parameters() if value.dim() == 4)]
    first, original = (next(m for m in net.modules() if isinstance(m, nn.Conv2d)) for net in (ours, theirs))
    assert str(first) == str(original).replace("(3, ", "(2, ", 1)


@pytest.mark.parametrize(
    "cfg,message",
    [
        (timm_cfg("vit_tinny_patch16_224"), "unknown timm .* Did you mean 'vit_tiny_patch16_224'.*timm.list"),
        (torchvision_cfg("resnet_18"), "unknown torchvision .* Did you mean 'resnet18'.*list_models"),
        (torchvision_cfg("vit_b_16"), "model vit_b_16 cannot be built for 1x28x28 images: .*patch size"),
        (torchvision_cfg("resnet18", weights="DEFAULT"), "'weights'"),
        (timm_cfg("resnet18", pretrained=True), "'pretrained'"),
    ],
)
def test_wrong_values(cfg, message):
    with pytest.raises(ValueError, match=message) as error:
        classifier(cfg, **MNIST)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("side, before, after", [(28, 2, 2), (29, 1, 2), (31, 0, 1), (17, 7, 8)])
def test_what_timm_pads_is_a_border_of_zeros(side, before, after):
    shape = {"in_channels": 1, "image_size": side, "num_classes": 4}
    model = classifier(timm_cfg("vit_tiny_patch16_224", depth=1), **shape).eval()
    seen = []
    model.patch_embed.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.rand(1, 1, side, side) + 1
    model(image)
    assert torch.equal(seen[0], torch.nn.functional.pad(image, (before, after, before, after)))
    assert seen[0].shape[-1] == 32


def test_more_channels_than_three_are_taken_too():
    from initbench.model import torchvision_model

    model = torchvision_model(in_channels=4, image_size=64, num_classes=3, architecture="squeezenet1_1").eval()
    assert model(torch.randn(1, 4, 64, 64)).shape == (1, 3)
