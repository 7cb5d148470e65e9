"""The Vision Transformer: its parameters by hand, its attention against torch's, its residual blocks."""

import math
from typing import Any

import pytest
import torch
from configs import compose_config
from tasks import classifier
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

import initbench
from initbench.init.structure.parts import find_attentions, find_branches, find_gates
from initbench.model import ViT
from initbench.model.vit import Attention, Residual

MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}
CIFAR = {"in_channels": 3, "image_size": 32, "num_classes": 10}


def vit(data: dict[str, int] = MNIST, **keys: Any) -> ViT:
    return ViT(**{"patch_size": 7, "width": 12, "depth": 2, "num_heads": 3, "mlp_ratio": 2, **data, **keys})


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("ratio, hidden", [(2, 24), (2.5, 30), (0.5, 6), (1.04, 12), (1.05, 13)])
def test_the_hidden_layer_of_an_mlp_is_the_nearest_to_its_ratio(ratio: float, hidden: int) -> None:
    model = vit(mlp_ratio=ratio)
    assert [block.mlp.branch.linear1.out_features for block in model.blocks] == [hidden, hidden]


# Patches and positions, then per layer: qkv, proj, two MLP layers with their biases.
EMBEDDING = (16 + 1) * 64 + 49 * 64
LAYER = 65 * 192 + 65 * 64 + 65 * 128 + 129 * 64
CLASSIFIER = 65 * 10


@pytest.mark.parametrize(
    "overrides,expected",
    [
        ({"norm": "none"}, EMBEDDING + 4 * LAYER + CLASSIFIER),
        ({}, EMBEDDING + 4 * (LAYER + 2 * 128) + 128 + CLASSIFIER),
        ({"norm": "post"}, EMBEDDING + 4 * (LAYER + 2 * (128 + 1)) + CLASSIFIER),  # with a skip_scale each
        ({"norm": "none", "gate": True, "depth": 1}, EMBEDDING + LAYER + 2 + CLASSIFIER),
    ],
)
def test_parameter_count(overrides, expected):
    keys = compose_config("model=vit")["model"]
    assert count(classifier({**keys, **overrides}, **MNIST)) == expected


def test_parameter_count_with_the_papers_mlp():
    """ViT-B/16 has 86.6 M parameters (Touvron et al. 2021, Table 1), here without class token and its position."""
    model = vit(
        {"in_channels": 3, "image_size": 224, "num_classes": 1000},
        patch_size=16, width=768, depth=12, num_heads=12, mlp_ratio=4,
    )  # fmt: skip  # several values to a line
    assert count(model) == 86_567_656 - 2 * 768


def test_attention_is_torchs():
    torch.manual_seed(0)
    ours, theirs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.proj.weight,
            "out_proj.bias": ours.proj.bias,
        }
    )
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])


@pytest.mark.parametrize("norm,first", [("pre", True), ("post", False)])
def test_layer_is_torchs_encoder_layer(norm, first):
    """Attention, MLP and the place of the norms, by the state of nn.TransformerEncoderLayer."""
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(12, 3, 24, dropout=0, activation=F.gelu, batch_first=True, norm_first=first)
    block = vit(norm=norm).blocks[0]
    state = block.state_dict()
    names = {
        "self_attn.in_proj_": "attention.branch.attention.qkv.",
        "self_attn.out_proj.": "attention.branch.attention.proj.",
        "linear1.": "mlp.branch.linear1.",
        "linear2.": "mlp.branch.linear2.",
        "norm1.": "attention.branch.norm." if first else "attention.norm.",
        "norm2.": "mlp.branch.norm." if first else "mlp.norm.",
    }
    for a, b in names.items():
        for key in ("weight", "bias"):
            state[b + key] = torch.randn_like(state[b + key])
            theirs.get_parameter(a + key).data.copy_(state[b + key])
    block.load_state_dict(state)
    x = torch.randn(2, 5, 12)
    torch.testing.assert_close(block(x), theirs(x))


def test_tokens_are_the_patches_row_by_row():
    model = vit(CIFAR, patch_size=8)
    with torch.no_grad():
        model.patches.position_embedding.copy_(torch.arange(16.0)[None, :, None].expand(1, 16, 12))
    images = torch.randn(2, 3, 32, 32)
    tokens = model.patches(images)
    patch = images[1, :, 8:16, 24:32]  # row 1, column 3: token 7
    weight = model.patches.projection.weight.flatten(1)
    torch.testing.assert_close(tokens[1, 7], weight @ patch.flatten() + model.patches.projection.bias + 7)


def test_every_trainable_parameter_gets_a_gradient():
    for norm in ("pre", "post", "none"):
        model = vit(norm=norm, gate=True)
        model(torch.randn(2, 1, 28, 28)).square().sum().backward()
        frozen = {name for name, parameter in model.named_parameters() if parameter.grad is None}
        scales = {f"blocks.{i}.{branch}.skip_scale" for i in range(2) for branch in ("attention", "mlp")}
        assert frozen == (scales if norm == "post" else set())


def test_blocks_are_the_identity_when_their_gates_are_zero():
    model = initbench.initialize(vit(norm="pre", gate=True), "rezero")
    x = torch.randn(2, 16, 12)
    assert torch.equal(model.blocks(x), x)
    find_gates(model)[0][1].data.fill_(0.5)
    block = model.blocks[0].attention
    torch.testing.assert_close(model.blocks(x), x + 0.5 * block.branch(x))


def test_gate_and_skip_scale_multiply_what_they_should():
    block = Residual({"linear": nn.Linear(4, 4)}, 4, "post", gate=True)
    x = torch.randn(3, 4)
    torch.testing.assert_close(block(x), F.layer_norm(x + block.branch(x), (4,)))  # both are 1 as built
    block.gate.data.fill_(0.5)
    block.skip_scale.data.fill_(3)
    torch.testing.assert_close(block(x), F.layer_norm(3 * x + 0.5 * block.branch(x), (4,)))


def test_structure_finds_the_parts():
    model = vit(norm="post", gate=True)
    branches = find_branches(model)
    assert [branch.kind for branch in branches] == ["attention", "mlp"] * 2
    assert all(branch.gate is not None and branch.skip_scale is not None for branch in branches)
    assert [name for name, _ in branches[3].weighted] == ["blocks.1.mlp.branch.linear1", "blocks.1.mlp.branch.linear2"]
    assert [(a.width, a.num_heads) for a in find_attentions(model)] == [(12, 3)] * 2


def test_positions_are_redrawn_from_the_seed():
    """The control draws them as the model itself does: N(0, 0.02^2)."""
    big = vit(patch_size=2, width=96, depth=0)
    first, again, other = (
        initbench.initialize(big, "default", seed=s).patches.position_embedding.detach().clone() for s in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert float(first.std()) == pytest.approx(0.02, rel=5 / math.sqrt(2 * first.numel()))


def test_a_norm_does_not_rename_the_weights():
    plain, pre, post = ({k for k, _ in vit(norm=n).named_parameters()} for n in ("none", "pre", "post"))
    assert plain < pre
    assert plain < post
    assert {name.rpartition(".")[0].rpartition(".")[2] for name in pre - plain} == {"norm"}


@pytest.mark.parametrize(
    "overrides,message",
    [
        ({"norm": "preln"}, "unknown model.norm 'preln'.*Allowed: pre, post, none"),
        ({"patch_size": 5}, "patch_size must divide the image's 28 pixels, 5 does not"),
        ({"num_heads": 5}, "num_heads must divide the width of 64, 5 does not"),
        ({"nonlinearity": "gleu"}, "unknown model.nonlinearity 'gleu'. Did you mean 'gelu'"),
    ],
)
def test_wrong_values(overrides, message):
    with pytest.raises(ValueError, match=message):
        classifier({**compose_config("model=vit")["model"], **overrides}, **MNIST)
