"""Every YAML of conf/model, walked; then each architecture against published numbers or by hand."""

import inspect

import pytest
import torch
from hydra.utils import get_object
from loaded import CIFAR, FILES, MNIST, count, load, of_type
from tasks import classifier
from torch import nn

from initbench.model import GIVEN, PlainCNN, build
from initbench.model.resnet_cifar import BasicBlock, Shortcut
from initbench.sizes import Sizes

OF_IMAGES = [name for name in FILES if name not in ("gpt", "transformers", "autoencoder")]  # which are classified


@pytest.mark.parametrize("shape", [MNIST, CIFAR], ids=["mnist", "cifar"])
@pytest.mark.parametrize("name", OF_IMAGES)
def test_every_parameter_gets_a_gradient(name, shape):
    torch.manual_seed(0)
    model = classifier(load(name), **shape)
    assert model.training
    images = torch.randn(2, shape["in_channels"], shape["image_size"], shape["image_size"])
    scores = model(images)
    assert scores.shape == (2, 10)
    nn.functional.cross_entropy(scores, torch.tensor([0, 1])).backward()
    for parameter_name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, parameter_name
        assert parameter.grad is None or parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("name", FILES)
def test_yaml_states_its_name_source_and_every_key(name):
    cfg = load(name)
    assert FILES[name].read_text().startswith("# ")
    # The two libraries are files whose name is the architecture.
    assert cfg.name == cfg.get("architecture", name)
    parameters = inspect.signature(get_object(cfg._target_)).parameters.values()
    keys = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert set(cfg) - {"_target_", "name"} == keys - set(GIVEN)


@pytest.mark.parametrize(
    "name,overrides,shape,expected",
    [
        ("mlp", {}, MNIST, 785 * 256 + 257 * 256 + 257 * 10),
        ("mlp", {"depth": 0}, CIFAR, 3073 * 10),
        ("mlp", {"bias": False, "depth": 3, "width": [64, 128, 64]}, MNIST, 784 * 64 + 2 * 64 * 128 + 640),
        ("mlp", {"norm": "layer", "dropout": 0.5}, MNIST, 785 * 256 + 257 * 256 + 257 * 10 + 4 * 256),
        ("lenet", {}, MNIST, 61_706),  # the usual count of LeNet-5 with full connections
        ("plain_cnn", {"depth": 4, "width": 8}, MNIST, 10 * 8 + 3 * 73 * 8 + 90),
        (
            "plain_cnn",
            {"depth": 3, "width": [4, 8, 16], "norm": "group"},
            CIFAR,
            27 * 4 + 36 * 8 + 72 * 16 + 2 * 28 + 170,
        ),
        ("resnet20", {}, CIFAR, 269_722),  # Table 6 of He et al.: 0.27M
        ("resnet56", {}, CIFAR, 853_018),  # 0.85M
        ("resnet56", {"depth": 110}, CIFAR, 1_727_962),  # 1.7M
        ("resnet18", {}, CIFAR, 11_173_962),
        ("resnet34", {}, CIFAR, 21_282_122),
        ("resnet50", {}, CIFAR, 23_520_842),
        ("vgg11_bn", {}, CIFAR, 9_231_114),
        ("vgg16_bn", {}, CIFAR, 14_728_266),
        ("vgg11", {}, CIFAR, 9_231_114 - 2 * 2752),  # 2752 channels lose scale and shift
        ("vgg16", {}, MNIST, 14_728_266 - 2 * 4224 - 2 * 9 * 64),
        ("airbench", {}, CIFAR, 1_972_792),  # 1.97 million: Jordan 2024, section 3.1
        ("rnn", {}, MNIST, (28 + 128 + 2) * 128 + 1290),
        ("gru", {}, MNIST, 3 * (28 + 128 + 2) * 128 + 1290),
        ("lstm", {"num_layers": 2}, CIFAR, 4 * (96 + 128 + 2 + 128 + 128 + 2) * 128 + 1290),
    ],
)
def test_parameter_counts(name, overrides, shape, expected):
    assert count(classifier(load(name, **overrides), **shape)) == expected


@pytest.mark.parametrize(
    "depth, counts", [(4, [2, 1, 1]), (5, [2, 2, 1]), (20, [7, 7, 6]), (99, [33, 33, 33]), (7, [2, 2, 2, 1]), (3, [3])]
)
def test_the_first_stages_of_a_plain_cnn_have_one_more_convolution(depth, counts):
    width = [4 * stage for stage in range(1, len(counts) + 1)]
    model = classifier(load("plain_cnn", depth=depth, stages=len(counts), width=width), **MNIST)
    convolutions = of_type(model, nn.Conv2d)
    assert len(of_type(model, nn.ReLU)) == depth
    assert [conv.out_channels for conv in convolutions] == [
        size for size, count in zip(width, counts, strict=True) for _ in range(count)
    ]
    starts = [sum(counts[:stage]) for stage in range(1, len(counts))]
    assert [index for index, conv in enumerate(convolutions) if conv.stride == (2, 2)] == starts


def test_the_norms_of_airbench_forget_quickly_and_have_biases_alone():
    norms = of_type(classifier(load("airbench"), **CIFAR), nn.BatchNorm2d)
    assert len(norms) == 6
    assert {norm.momentum for norm in norms} == {0.4}  # 0.6 in the paper, which counts what is kept
    assert {(norm.weight.requires_grad, norm.bias.requires_grad) for norm in norms} == {(False, True)}


def test_circular_padding_makes_every_pixel_alike():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 8, 8)
    moved = images.roll((3, 5), dims=(2, 3))
    data = {"in_channels": 3, "image_size": 8, "num_classes": 5}
    circular = PlainCNN(**data, depth=4, width=8, stages=1, padding_mode="circular")
    zeros = PlainCNN(**data, depth=4, width=8, stages=1)
    torch.testing.assert_close(circular(images), circular(moved))
    assert not torch.allclose(zeros(images), zeros(moved), atol=1e-4)


@pytest.mark.parametrize("norm,kind", [("batch", nn.BatchNorm2d), ("group", nn.GroupNorm)])
@pytest.mark.parametrize("name", ["plain_cnn", "resnet20", "vgg11"])
def test_norm_follows_every_convolution(name, norm, kind):
    model = classifier(load(name, norm=norm), **CIFAR)
    assert len(of_type(model, kind)) == len(of_type(model, nn.Conv2d))
    assert not of_type(classifier(load(name, norm="none"), **CIFAR), kind)


@pytest.mark.parametrize("depth", [20, 56])
def test_cifar_resnet_has_depth_weighted_layers(depth):
    model = classifier(load(f"resnet{depth}"), **CIFAR)
    assert len(of_type(model, nn.Conv2d)) + len(of_type(model, nn.Linear)) == depth
    assert len(of_type(model, BasicBlock)) == (depth - 2) / 2
    assert len(of_type(model, Shortcut)) == 2


def test_option_a_shortcut():
    x = torch.arange(2 * 3 * 5 * 5).reshape(2, 3, 5, 5)
    out = Shortcut(in_channels=3, channels=6, stride=2)(x)
    assert out.shape == (2, 6, 3, 3)
    assert out[0, 0].tolist() == [[0, 2, 4], [10, 12, 14], [20, 22, 24]]
    assert out[:, 3:].count_nonzero() == 0


def test_basic_block_is_the_identity_when_its_branch_is_zero():
    block = BasicBlock(4, 4, "relu", "batch", gate=False).eval()
    nn.init.zeros_(block.branch.norm2.weight)
    x = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(block(x), x)


@pytest.mark.parametrize("norm", ["none", "batch", "group", "fixup"])
def test_gate_multiplies_the_branch_of_a_basic_block(norm):
    torch.manual_seed(0)
    block = BasicBlock(4, 8, "tanh", norm, gate=True).eval()
    x = torch.rand(2, 4, 6, 6)
    for gate in (1.0, 0.3, 0.0):  # 1 as built
        torch.testing.assert_close(block(x), torch.tanh(block.shortcut(x) + gate * block.branch(x)))
        block.gate.data.fill_({1.0: 0.3, 0.3: 0.0, 0.0: 1.0}[gate])


def test_fixup_puts_scalars_where_the_paper_does():
    block = BasicBlock(3, 3, "relu", "fixup", gate=True)
    for number, bias in enumerate((block.branch.bias1, block.branch.norm1, block.branch.bias2, block.bias), start=1):
        assert bias.bias.shape == ()
        bias.bias.data.fill_(number / 10)
    block.gate.data.fill_(0.5)
    x = torch.randn(2, 3, 5, 5)
    conv1, conv2 = block.branch.conv1, block.branch.conv2
    assert conv1.bias is None
    out = conv2(torch.relu(conv1(x + 0.1) + 0.2) + 0.3) * 0.5 + 0.4
    torch.testing.assert_close(block(x), torch.relu(x + out))


def test_fixup_resnet_is_its_plain_sibling_with_scalars():
    scalars = [p for p in classifier(load("resnet20", norm="fixup"), **CIFAR).parameters() if p.dim() == 0]
    # 4 biases and a gate a block, one bias after the first convolution and one before the classifier.
    assert len(scalars) == 9 * 5 + 2
    assert not any(p.dim() == 0 for p in classifier(load("resnet20"), **CIFAR).parameters())


def test_cifar_resnet_refuses_an_unknown_norm():
    with pytest.raises(ValueError, match=r"'fixpu'.*fixup"):
        classifier(load("resnet20", norm="fixpu"), **CIFAR)


@pytest.mark.parametrize("depth", [18, 50])
def test_imagenet_stem_is_torchvisions_own_network(depth):
    from torchvision import models

    ours = classifier(load("resnet18", depth=depth, stem="imagenet"), in_channels=3, image_size=64, num_classes=7)
    theirs = models.get_model(f"resnet{depth}", num_classes=7)
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(images), theirs.eval()(images))


@pytest.mark.parametrize("name,depth", [("vgg11", 11), ("vgg16_bn", 16)])
def test_vgg_has_torchvisions_convolutions(name, depth):
    from torchvision import models

    ours = classifier(load(name), **CIFAR)
    theirs = models.get_model(name, num_classes=10).features
    # The paper counts three fully connected layers; here there is one.
    assert len(of_type(ours, nn.Conv2d)) == depth - 3
    features = nn.Sequential(*list(ours)[: len(theirs)]).eval()
    assert [type(layer) for layer in features] == [type(layer) for layer in theirs]
    theirs.load_state_dict(features.state_dict())
    images = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(features(images), theirs.eval()(images))


def test_rnn_reads_rows_from_top_to_bottom():
    torch.manual_seed(0)
    model = classifier(load("rnn", hidden_size=5), in_channels=3, image_size=4, num_classes=2)
    images = torch.randn(2, 3, 4, 4)
    cell, state = model.recurrent, torch.zeros(2, 5)
    for row in images.unbind(dim=2):  # each (batch, channels, columns)
        features = row.transpose(1, 2).flatten(1)
        state = torch.tanh(
            features @ cell.weight_ih_l0.T + cell.bias_ih_l0 + state @ cell.weight_hh_l0.T + cell.bias_hh_l0
        )
    torch.testing.assert_close(model(images), model.classifier(state))


def test_mlp_is_linear_with_the_linear_nonlinearity():
    model = classifier(load("mlp", depth=4, nonlinearity="linear", bias=False), **MNIST)
    a, b = torch.randn(2, 3, 1, 28, 28)
    torch.testing.assert_close(model(2 * a - b), 2 * model(a) - model(b), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["mlp", "lenet", "plain_cnn", "resnet20", "vgg11"])
def test_nonlinearity_replaces_every_activation(name):
    model = classifier(load(name, nonlinearity="tanh"), **MNIST)
    relus = of_type(classifier(load(name), **MNIST), nn.ReLU)
    assert len(of_type(model, nn.Tanh)) == len(relus) > 0
    assert not of_type(model, nn.ReLU)


@pytest.mark.parametrize(
    "name,overrides,message",
    [
        ("mlp", {"nonlinearity": "rellu"}, "unknown model.nonlinearity 'rellu'. Did you mean 'relu'"),
        ("mlp", {"norm": "group"}, "unknown model.norm 'group'.*Allowed: none, batch, layer"),
        ("mlp", {"width": [64, 128, 64]}, "width lists 3 values but depth is 2"),
        ("plain_cnn", {"norm": "layer"}, "unknown model.norm 'layer'.*Allowed: none, batch, group"),
        ("plain_cnn", {"depth": 2}, r"stages must be between 1 and depth \(2\), not 3"),
        ("plain_cnn", {"width": [16, 32]}, "width lists 2 values but stages is 3"),
        ("plain_cnn", {"padding_mode": "round"}, "padding_mode"),
        ("resnet20", {"depth": 18}, r"depth must be 6n \+ 2 .*, not 18"),
        ("resnet18", {"depth": 20}, "model.depth must be 18, 34, 50, 101 or 152, got 20"),
        ("resnet18", {"stem": "cifar10"}, "unknown model.stem 'cifar10'. Did you mean 'cifar'"),
        ("airbench", {"width": [64, 256]}, r"model.width must be a list of 3 whole numbers .*, got \[64, 256\]"),
        ("vgg11", {"depth": 12}, "model.depth must be 11, 13, 16 or 19, got 12"),
        ("rnn", {"nonlinearity": "gelu"}, "gelu"),
        ("lenet", {"widht": 3}, "unknown key model.widht. LeNet takes: nonlinearity"),
    ],
)
def test_wrong_values(name, overrides, message):
    with pytest.raises(ValueError, match=message):
        classifier(load(name, **overrides), **MNIST)


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("name", ["mlp", "plain_cnn", "resnet20", "vgg11"])
def test_a_norm_does_not_rename_the_weights(name, norm):
    names = {key for key, _ in classifier(load(name, norm=norm), **MNIST).named_parameters() if "norm" not in key}
    plain = {key for key, _ in classifier(load(name, norm="none"), **MNIST).named_parameters()}
    weights = {key for key in plain if key.endswith("weight")}
    assert weights <= names <= plain
    assert "classifier.weight" in weights


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_recurrent_networks_predict_tokens_from_those_before(name):
    sizes = Sizes(100, (6,), vocab_size=9)
    model = build(load(name, hidden_size=5), sizes, {}, (6, 9))
    tokens = torch.arange(12).view(2, 6) % 9
    logits = model(tokens)
    changed = tokens.clone()
    changed[:, 3] = 8
    difference = (model(changed) - logits).abs().amax(dim=(0, 2))
    assert difference[:3].eq(0).all()
    assert difference[3:].gt(0).all()


def test_recurrent_networks_say_what_they_can_read():
    with pytest.raises(ValueError, match="model lstm: it classifies images or predicts the tokens of a text"):
        build(load("lstm"), Sizes(100, (4,), target_size=1), {"out_features": 1}, (1,))


def test_a_model_that_needs_what_the_data_has_not_is_refused():
    with pytest.raises(
        ValueError, match="model lenet needs in_channels, image_size, num_classes, but rows of 4 numbers"
    ):
        build(load("lenet"), Sizes(100, (4,), target_size=1), {"out_features": 1}, (1,))
