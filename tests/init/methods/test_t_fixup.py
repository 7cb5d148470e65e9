"""T-Fixup: every tensor's standard deviation from the paper's formulas, and what they are for."""

import math
from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.nn.utils import parametrizations

import initbench
from initbench.init.structure.parts import find_attentions
from initbench.model import LeNet, ViT

MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}


def vit(**keys: Any) -> ViT:
    return ViT(**{"patch_size": 4, "width": 96, "depth": 3, "num_heads": 3, "norm": "none", **MNIST, **keys})


class Words(nn.Module):
    """Word embeddings, and torch's own encoder."""

    def __init__(self, layers: int, width: int = 64) -> None:
        super().__init__()
        self.words = nn.Embedding(300, width, padding_idx=0)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, 5)


def assert_std(tensor: torch.Tensor, std: float) -> None:
    # Five standard errors; those of a uniform draw are smaller than the normal's.
    assert float(tensor.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * tensor.numel()))


@torch.no_grad()
def test_every_tensor_by_hand():
    model = initbench.initialize(vit(), "t_fixup")
    factor = 0.67 * 3**-0.25  # 0.5091
    embedding = (9 * 3) ** -0.25  # 0.4387
    for attention in find_attentions(model):
        for projection in (attention.query.weight, attention.key.weight):
            assert_std(projection, math.sqrt(2 / (96 + 96)))
        for projection in (attention.value.weight, attention.output.weight):
            assert_std(projection, factor * math.sqrt(2 / (96 + 96)))
    for block in model.blocks:
        assert_std(block.mlp.branch.linear1.weight, factor * math.sqrt(2 / (96 + 384)))
        assert_std(block.mlp.branch.linear2.weight, factor * math.sqrt(2 / (96 + 384)))
        assert (block.mlp.branch.linear1.bias == 0).all()
    # The patch embedding is a convolution of 4 x 4 pixels: fans 16 and 96 * 16, as the kernel does not overlap.
    assert_std(model.patches.projection.weight, embedding * math.sqrt(2 / (16 + 96 * 16)))
    assert_std(model.patches.position_embedding, embedding * 0.02)
    assert_std(model.classifier.weight, math.sqrt(2 / (96 + 10)))


@torch.no_grad()
def test_words_and_torchs_attention():
    model = initbench.initialize(Words(layers=2), "t_fixup")
    assert_std(model.words.weight[1:], (9 * 2) ** -0.25 / math.sqrt(64))
    assert (model.words.weight[0] == 0).all()  # the padding
    factor = 0.67 * 2**-0.25
    for layer in model.encoder.layers:
        query, key, value = layer.self_attn.in_proj_weight.chunk(3)
        for tensor, scale in ((query, 1), (key, 1), (value, factor), (layer.self_attn.out_proj.weight, factor)):
            assert_std(tensor, scale * math.sqrt(2 / 128))
        assert_std(layer.linear2.weight, factor * math.sqrt(2 / (64 + 128)))
    assert_std(model.head.weight, math.sqrt(2 / (64 + 5)))


@torch.no_grad()
def test_timms_vit():
    model = initbench.initialize(timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2), "t_fixup")
    plain = initbench.initialize(timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2), "xavier_uniform")
    pairs = dict(plain.named_parameters())
    pairs["pos_embed"], pairs["cls_token"] = None, None  # timm's own draws differ between the two models
    factor, embedding = 0.67 * 2**-0.25, 18**-0.25
    scales = {
        "attn.proj.weight": factor,
        "fc1.weight": factor,
        "fc2.weight": factor,
        "patch_embed.proj.weight": embedding,
    }
    for name, tensor in model.named_parameters():
        if pairs[name] is None:
            continue
        scale = next((scale for end, scale in scales.items() if name.endswith(end)), 1)
        wanted = pairs[name] * scale
        if name.endswith("qkv.weight"):
            wanted[2 * 192 :] *= factor
        torch.testing.assert_close(tensor, wanted, msg=name)


def test_output_does_not_grow_with_depth():
    """Without norms Xavier's residual stream grows from layer to layer; with T-Fixup it stays of order one."""
    torch.manual_seed(0)
    images = torch.randn(8, 1, 28, 28)
    growth = {}
    for name in ("xavier_uniform", "t_fixup"):
        model = initbench.initialize(vit(depth=24), name)
        with torch.no_grad():
            tokens = model.patches(images)
            growth[name] = float(model.blocks(tokens).std() / tokens.std())
    assert growth["t_fixup"] < 2
    assert growth["xavier_uniform"] > 10 * growth["t_fixup"]


def test_a_parametrized_weight_is_scaled_through_its_parametrization():
    plain, model = vit(), vit()
    parametrizations.weight_norm(model.blocks[0].attention.branch.attention.qkv)
    parametrizations.weight_norm(model.blocks[1].mlp.branch.linear1)
    plain, model = (initbench.initialize(m, "t_fixup") for m in (plain, model))
    for name in ("blocks.0.attention.branch.attention.qkv", "blocks.1.mlp.branch.linear1"):
        torch.testing.assert_close(model.get_submodule(name).weight, plain.get_submodule(name).weight)


@pytest.mark.parametrize(
    "model,message",
    [
        (lambda: LeNet(**MNIST), "t_fixup needs residual branches"),
        (lambda: timm.create_model("resnet18"), "t_fixup needs self-attention layers, and ResNet has none"),
        (lambda: nn.TransformerDecoderLayer(8, 2, 16), "t_fixup is a rule for encoders"),
    ],
)
def test_models_without_what_it_needs(model, message):
    with pytest.raises(ValueError, match=message):
        initbench.initialize(model(), "t_fixup")


def test_of_several_matrices_before_the_first_branch_the_last_embeds():
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.Linear(5, 6), nn.Linear(6, 8), nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))
    initbench.initialize(model, "t_fixup", weight="ones")
    assert (model[0].weight == 1).all()
    torch.testing.assert_close(model[1].weight, torch.full((8, 6), 18**-0.25))


def encoder(layers: int = 2) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def test_a_vector_before_the_first_branch_is_no_embedding() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.scale = nn.Linear(5, 8), nn.Parameter(torch.ones(8))
            self.positions, self.encoder = nn.Parameter(torch.ones(1, 4, 8)), encoder()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.encoder(self.embedding(x) * self.scale + self.positions)

    model = Scaled()
    initbench.initialize(model, "t_fixup", batch=torch.randn(2, 4, 5), other=1)
    assert (model.scale == 1).all()
    torch.testing.assert_close(model.positions.detach(), torch.full((1, 4, 8), 18**-0.25))


class Attending(nn.Module):
    """Tokens attend to each other without an output projection; `added` says whether the result is added to them."""

    def __init__(self, *, added: bool) -> None:
        super().__init__()
        self.norm, self.qkv, self.added = nn.LayerNorm(8), nn.Linear(8, 24), added

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = nn.functional.scaled_dot_product_attention(*self.qkv(self.norm(x)).chunk(3, -1))
        return x + mixed if self.added else mixed


class Feeding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(self.up(x).relu())


@pytest.mark.parametrize("added", [True, False])
def test_attentions_without_an_output_or_outside_of_the_branches_are_refused(added: bool) -> None:
    model = nn.Sequential(nn.Linear(5, 8), Attending(added=added), Feeding(), nn.Linear(8, 3))
    with pytest.raises(ValueError, match="t_fixup is a rule for encoders"):
        initbench.initialize(model, "t_fixup", batch=torch.randn(2, 4, 5))


class Convolving(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(8, 6, 3, padding=1), nn.ReLU(), nn.Conv1d(6, 8, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x.transpose(1, 2)).transpose(1, 2)


def test_convolutions_in_branches_are_scaled_like_mlps_and_shared_weights_once() -> None:
    layers, factor = encoder(), 0.67 * 2**-0.25
    layers.layers[1].linear2.weight = layers.layers[0].linear2.weight
    model = nn.Sequential(nn.Linear(5, 8), layers, Convolving(), nn.Linear(8, 3))
    initbench.initialize(model, "t_fixup", weight="ones", batch=torch.randn(2, 4, 5))
    torch.testing.assert_close(layers.layers[1].linear2.weight, torch.full((8, 16), factor))
    for conv in (model[2].conv[0], model[2].conv[2]):
        torch.testing.assert_close(conv.weight, torch.full_like(conv.weight, factor))
    assert (model[3].weight == 1).all()
