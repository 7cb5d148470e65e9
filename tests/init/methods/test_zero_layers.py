"""Layers that a method sets to zero are zero with their biases, whatever the biases were before."""

import pytest
import torch
from running import Residual
from torch import nn

from initbench.init import initialize, initializer
from initbench.init.structure.parts import find_branches
from initbench.model import CifarResNet, ViT


def test_fixup_zeroes_the_bias_of_the_last_layer_of_each_branch_and_of_the_classifier() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), Residual(8), Residual(8), nn.Linear(8, 3))
    initialize(model, "fixup", bias=0.5)
    for layer in (model[1].branch[2], model[2].branch[2], model[3]):
        assert not layer.weight.any()
        assert not layer.bias.any()
    for layer in (model[0], model[1].branch[0]):
        assert layer.weight.any()
        assert (layer.bias == 0.5).all()
    tokens = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(model[1](tokens), tokens)


class Normed(nn.Module):
    """A residual branch without a weighted layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.norm(x)).roll(1, -1)


@pytest.mark.parametrize("name", ["zero_hadamard", "idinit"])
def test_the_branches_that_are_counted_are_those_with_a_last_layer(name: str) -> None:
    model = nn.Sequential(nn.Linear(6, 8), Residual(8), Normed(), Residual(8), nn.Linear(8, 3))
    assert len(find_branches(model)) == 3
    assert initializer(name).apply(model, seed=0).numbers == {"branches": 2}


def test_fixup_zeroes_the_biases_of_attentions_and_mlps() -> None:
    torch.manual_seed(0)
    model = ViT(in_channels=1, image_size=28, num_classes=10, patch_size=7, width=24, depth=2, num_heads=2, norm="none")
    initialize(model, "fixup", bias=0.5)
    lasts = [branch.weighted[-1][1] for branch in find_branches(model)]
    assert len(lasts) == 4
    for layer in (*lasts, model.classifier):
        assert not layer.weight.any()
        assert not layer.bias.any()


def test_fixup_scales_by_the_number_of_branches_and_of_the_layers_in_each() -> None:
    """L^(-1 / (2 m - 2)): nine branches of two convolutions each."""
    torch.manual_seed(0)
    model = CifarResNet(in_channels=3, image_size=32, num_classes=10, depth=20, width=4, norm="fixup")
    initialize(model, "fixup", weight="ones")
    branches = find_branches(model)
    assert len(branches) == 9
    for branch in branches:
        first, last = (module for _, module in branch.weighted)
        torch.testing.assert_close(first.weight, torch.full_like(first.weight, 9**-0.5))
        assert not last.weight.any()


def test_fixup_passes_over_a_branch_without_layers() -> None:
    """Though a norm ends it, no zero layer is before that norm; the branch counts for L."""
    model = initialize(nn.Sequential(nn.Linear(6, 8), Residual(8), Normed(), nn.Linear(8, 3)), "fixup", weight="ones")
    torch.testing.assert_close(model[1].branch[0].weight, torch.full((8, 8), 2**-0.5))
    assert (model[2].norm.weight == 1).all()


class Apart(nn.Module):
    """An attention whose query, key and value are three matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=4, vdim=4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.attention(x, x[..., :4], x[..., :4])[0]


def test_fixup_scales_query_key_and_value_apart() -> None:
    model = nn.Sequential(nn.Linear(6, 8), Apart(), Apart(), nn.Linear(8, 3))
    initialize(model, "fixup", weight="ones", batch=torch.randn(2, 5, 6))
    for key in "qkv":
        weight = getattr(model[1].attention, f"{key}_proj_weight")
        torch.testing.assert_close(weight, torch.full_like(weight, 2 ** (-1 / 6)))
    assert not model[1].attention.out_proj.weight.any()


class Paths(nn.Module):
    """A branch of two paths, each of which a norm ends."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = (nn.Sequential(nn.Linear(8, 4), nn.ReLU(), nn.LayerNorm(4)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.cat([self.one(x), self.other(x)], -1)


class OnePlusRMSNorm(nn.Module):
    """Multiplies by 1 + weight, as Gemma's norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x / x.square().mean(-1, keepdim=True).add(1e-6).sqrt() * (1 + self.weight)


def test_zero_gamma_closes_all_paths_of_a_branch() -> None:
    model = initialize(nn.Sequential(nn.Linear(6, 8), Paths(), nn.Linear(8, 3)), "zero_gamma", batch=torch.randn(2, 6))
    assert not model[1].one[-1].weight.any()
    assert not model[1].other[-1].weight.any()


def test_zero_gamma_closes_a_norm_that_adds_one_to_its_weight() -> None:
    block = Residual(8)
    block.branch.append(OnePlusRMSNorm(8))
    x = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    model = initialize(nn.Sequential(nn.Linear(8, 8), block), "zero_gamma", batch=x)
    assert (model[1].branch[-1].weight == -1).all()
    assert torch.equal(block(x), x)


def test_fixup_refuses_a_classifier_that_is_an_embedding_too() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.block = nn.Embedding(11, 8), Residual(8)
            self.head = nn.Linear(8, 11, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.head(self.block(self.embedding(tokens)))

    with pytest.raises(ValueError, match="fixup sets the classifier to zero, and its weight is also that of the emb"):
        initialize(Tied(), "fixup", batch=torch.arange(8).view(2, 4))
