"""The recipes against those who wrote them: timm's own initialization, tensor by tensor."""

import math

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision import models

import initbench
from initbench.init.structure.parts import find_gates
from initbench.model import LeNet, ViT

MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}


def vit_tiny(weight_init: str) -> nn.Module:
    return timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, num_classes=10, weight_init=weight_init)


def assert_same_moments(ours: Tensor, theirs: Tensor, name: str, ratio: float = 1.0) -> None:
    """Mean, standard deviation and largest entry agree, within the errors of two independent samples."""
    ours, theirs, n = ours.detach(), ratio * theirs.detach(), ours.numel()
    if theirs.std() == 0:
        assert torch.equal(ours, theirs), name
        return
    std = float(theirs.std())
    assert float(ours.std()) == pytest.approx(std, rel=7 / math.sqrt(2 * n)), name
    assert float(ours.mean()) == pytest.approx(float(theirs.mean()), abs=7 * std / math.sqrt(n)), name
    # A uniform draw ends at sqrt 3 standard deviations, LeCun's truncated normal near 2.3, a normal at 3 and more.
    assert float(ours.abs().max()) == pytest.approx(float(theirs.abs().max()), rel=0.4), name


def test_vit_is_timms():
    torch.manual_seed(0)
    theirs = vit_tiny("")
    patches = [{"match": "Conv2d", "weight": "default", "bias": "default"}]
    ours = initbench.initialize(vit_tiny(""), "vit", rules=patches)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert_same_moments(a, b, name)


@torch.no_grad()
def test_vit_draws_the_patch_embedding_like_the_rest():
    model = initbench.initialize(vit_tiny(""), "vit")
    assert float(model.patch_embed.proj.weight.std()) == pytest.approx(0.02, rel=0.02)
    assert (model.patch_embed.proj.bias == 0).all()


def test_vit_jax_is_timms():
    torch.manual_seed(0)
    theirs = vit_tiny("jax")
    ours = initbench.initialize(vit_tiny("jax"), "vit_jax", token_std=1e-6)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        # Fans of (d, d) for each of query, key and value, where timm takes (3 d, d) for all: sqrt(4 / 2).
        assert_same_moments(a, b, name, math.sqrt(2) if name.endswith("qkv.weight") else 1.0)


@torch.no_grad()
def test_vit_jax_by_hand():
    model = initbench.initialize(ViT(patch_size=4, width=96, depth=2, num_heads=3, **MNIST), "vit_jax")
    assert (model.classifier.weight == 0).all()
    assert (model.classifier.bias == 0).all()
    assert float(model.patches.projection.weight.std()) == pytest.approx(1 / math.sqrt(16), rel=0.1)
    assert float(model.patches.position_embedding.std()) == pytest.approx(0.02, rel=0.1)
    block = model.blocks[0]
    assert float(block.mlp.branch.linear1.bias.std()) == pytest.approx(1e-6, rel=0.2)
    assert (block.attention.branch.attention.qkv.bias == 0).all()
    for projection in block.attention.branch.attention.qkv.weight.chunk(3):
        bound = math.sqrt(6 / (96 + 96))
        assert 0.98 * bound < float(projection.abs().max()) <= bound
    # The JAX code starts the class token at zero.
    assert (initbench.initialize(vit_tiny(""), "vit_jax").cls_token == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("name", ["vit", "vit_jax"])
def test_torchvisions_tokens_and_positions_are_found(name):
    model = models.VisionTransformer(32, 8, 1, 2, 16, 32)
    for parameter in (model.class_token, model.encoder.pos_embedding):
        nn.init.constant_(parameter, 7)
    initbench.initialize(model, name)
    assert model.class_token.abs().max() < 1e-4
    assert float(model.encoder.pos_embedding.std()) == pytest.approx(0.02, rel=0.25)


def test_convnext_is_timms():
    torch.manual_seed(0)
    theirs = timm.create_model("convnext_atto", depths=(1, 1, 1, 1), num_classes=10)
    ours = timm.create_model("convnext_atto", depths=(1, 1, 1, 1), num_classes=10)
    for parameter in ours.parameters():
        nn.init.constant_(parameter, 7)
    initbench.initialize(ours, "convnext")
    for (name, a), b in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert name == b[0]
        assert_same_moments(a, b[1], name)
    assert len(find_gates(ours)) == 4
    assert (ours.stages[0].blocks[0].gamma == 1e-6).all()


@torch.no_grad()
def test_convnext_sets_the_layer_scale_of_other_models():
    model = initbench.initialize(ViT(patch_size=7, width=8, depth=1, num_heads=2, gate=True, **MNIST), "convnext")
    assert [float(gate) for _, gate in find_gates(model)] == [pytest.approx(1e-6)] * 2
    tv = initbench.initialize(models.convnext_tiny(num_classes=3), "convnext", layer_scale=0.5)
    assert {float(gate.min()) for _, gate in find_gates(tv)} == {0.5}


@pytest.mark.parametrize("name", ["vit", "vit_jax"])
def test_a_description_has_the_expected_deviation_of_everything(name):
    model = vit_tiny("")
    table = initbench.describe(model, name, token_std=0.5).set_index("parameter")
    assert table["std_expected"].notna().all()
    assert table["std_expected"][["cls_token", "pos_embed"]].tolist() == [0.5, 0.02]
    for parameter, row in table.iterrows():
        size = model.get_parameter(parameter).numel()
        assert row["std"] == pytest.approx(row["std_expected"], rel=7 / math.sqrt(2 * size)), parameter


@pytest.mark.parametrize("name", ["vit", "convnext"])
def test_a_model_without_tokens_or_gates_gets_the_weights_alone(name):
    model = initbench.initialize(LeNet(**MNIST), name)
    plain = initbench.initialize(LeNet(**MNIST), "trunc_normal", std=0.02)
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name,key", [("vit", "token_std"), ("vit", "position_std"), ("vit_jax", "mlp_bias_std")])
def test_bad_input(name, key):
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        initbench.initialize(vit_tiny(""), name, **{key: -1})
