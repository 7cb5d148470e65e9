"""DeepNorm: alpha, beta and every tensor by the paper's table, and the update that they bound."""

import math
from typing import Any

import pytest
import timm
import torch
from one_step import change_by_one_step
from torch import nn

import initbench
from initbench.init.initializer import initializer
from initbench.init.structure.parts import find_attentions, find_branches
from initbench.model import LeNet, ViT

MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}


def vit(**keys: Any) -> ViT:
    return ViT(**{"patch_size": 4, "width": 96, "depth": 3, "num_heads": 3, "norm": "post", **MNIST, **keys})


class Block(nn.Module):
    """torch's attention in a block of one's own."""

    def __init__(self, kind: str, width: int = 64) -> None:
        super().__init__()
        attention = nn.MultiheadAttention(width, 4)
        self.branch = attention if kind == "attention" else nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.skip_scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.norm = nn.LayerNorm(width)


def assert_std(tensor: torch.Tensor, std: float) -> None:
    assert float(tensor.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * tensor.numel()))


@torch.no_grad()
def test_every_tensor_by_hand():
    model = vit()
    outcome = initializer("deepnorm").apply(model, seed=0)
    alpha, beta = 6**0.25, 24**-0.25  # N = 3: 1.5651 and 0.4518
    assert outcome.numbers == {"alpha": pytest.approx(1.5651, abs=1e-4), "beta": pytest.approx(0.4518, abs=1e-4)}
    for branch in find_branches(model):
        assert float(branch.skip_scale) == pytest.approx(alpha)
        assert not branch.skip_scale.requires_grad
    for attention in find_attentions(model):
        for projection in (attention.query.weight, attention.key.weight):
            assert_std(projection, math.sqrt(2 / (96 + 96)))
        for projection in (attention.value.weight, attention.output.weight):
            assert_std(projection, beta * math.sqrt(2 / (96 + 96)))
    for block in model.blocks:
        assert_std(block.mlp.branch.linear1.weight, beta * math.sqrt(2 / (96 + 384)))
        assert_std(block.mlp.branch.linear2.weight, beta * math.sqrt(2 / (96 + 384)))
        assert (block.attention.branch.attention.qkv.bias == 0).all()
        assert (block.mlp.norm.weight == 1).all()
    assert_std(model.patches.projection.weight, math.sqrt(2 / (16 + 96 * 16)))
    assert_std(model.classifier.weight, math.sqrt(2 / (96 + 10)))


@pytest.mark.parametrize("depth,alpha,beta", [(12, 2.2134, 0.3195), (100, 3.7606, 0.1880)])
def test_constants_of_the_depth(depth, alpha, beta):
    """By a pocket calculator: the fourth roots of 2 N, and of 1 / (8 N)."""
    model = nn.Sequential(*(Block(kind, 4) for _ in range(depth) for kind in ("attention", "mlp")))
    numbers = initializer("deepnorm", weight=1).apply(model, seed=0).numbers
    assert numbers == {"alpha": pytest.approx(alpha, abs=1e-4), "beta": pytest.approx(beta, abs=1e-4)}
    attention, mlp = model[0].branch, model[1].branch
    assert torch.allclose(attention.in_proj_weight[:8], torch.ones(8, 4))
    assert torch.allclose(attention.in_proj_weight[8:], torch.full((4, 4), beta), atol=1e-4)
    assert torch.allclose(attention.out_proj.weight, torch.full((4, 4), beta), atol=1e-4)
    assert torch.allclose(mlp[0].weight, torch.full((4, 4), beta), atol=1e-4)


def test_one_step_of_sgd_goes_as_far_in_48_layers_as_in_2():
    """|F(x, theta - step) - F(x, theta)| does not depend on depth (Theorem 4.2); in plain post-norm it grows."""
    torch.manual_seed(0)
    images, labels = torch.randn(16, 1, 28, 28), torch.randint(10, (16,))
    change = {}
    for name in ("xavier_normal", "deepnorm"):
        for depth in (2, 48):
            model = initbench.initialize(vit(patch_size=14, width=32, num_heads=4, depth=depth), name)
            change[name, depth] = change_by_one_step(model, images, labels)
    # Measured: 1.12 and 12.9 times.
    assert change["deepnorm", 48] < 1.5 * change["deepnorm", 2]
    assert change["xavier_normal", 48] > 5 * change["xavier_normal", 2]


@pytest.mark.parametrize(
    "model,message",
    [
        (
            lambda: vit(norm="pre"),
            r"skip_scale.*blocks.0.attention.branch has no skip_scale: model=vit model.norm=post",
        ),
        (lambda: vit(norm="none"), "has no skip_scale"),
        (lambda: timm.create_model("vit_tiny_patch16_224", depth=1), "skip_scale.*model.norm=post"),
        (lambda: nn.TransformerEncoderLayer(8, 2, 16), "skip_scale.*model.norm=post"),
        (lambda: timm.create_model("caformer_s18"), "deepnorm"),
        (lambda: LeNet(**MNIST), "deepnorm needs residual branches"),
        (lambda: timm.create_model("resnet18"), "deepnorm needs self-attention layers"),
    ],
)
def test_models_without_what_it_needs(model, message):
    with pytest.raises(ValueError, match=message):
        initbench.initialize(model(), "deepnorm")


def test_a_norm_that_comes_first_is_refused():
    block = Block("attention")
    block.branch = nn.Sequential(nn.LayerNorm(64), block.branch)
    with pytest.raises(ValueError, match="its norm first"):
        initbench.initialize(block, "deepnorm")
