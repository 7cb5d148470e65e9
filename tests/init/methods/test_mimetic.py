"""Mimetic initialization: the products of weights that it prescribes, and the attention that they make."""

import math
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

import initbench
from initbench.init.methods.mimetic import sinusoidal
from initbench.init.structure.attention import Attention
from initbench.init.structure.parts import find_attentions
from initbench.model import LeNet, ViT

MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}
WIDTH = 64


def ours(num_heads: int) -> nn.Module:
    return ViT(patch_size=4, width=WIDTH, depth=2, num_heads=num_heads, mlp_ratio=2, **MNIST)


def torchs(num_heads: int) -> nn.Module:
    return nn.TransformerEncoder(
        nn.TransformerEncoderLayer(WIDTH, num_heads, 32, batch_first=True), 2, enable_nested_tensor=False
    )


def timms(num_heads: int) -> nn.Module:
    return timm.create_model("vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=WIDTH, num_heads=num_heads)


def mimetic(model: nn.Module, **parameters: Any) -> list[Attention]:
    attentions = find_attentions(initbench.initialize(model, "mimetic", **parameters))
    assert len(attentions) == 2
    return attentions


def per_head(attention: Attention) -> list[Tensor]:
    """W_Q W_K^T of each head, W = torch's weight transposed."""
    queries, keys = attention.query.weight.chunk(attention.num_heads), attention.key.weight.chunk(attention.num_heads)
    return [query.T @ key for query, key in zip(queries, keys, strict=True)]


@pytest.mark.parametrize("make", [ours, torchs, timms])
def test_products_of_one_head_are_noise_and_identity(make):
    """A head as wide as the model loses nothing to rank: the products are alpha Z +- beta I, entry by entry."""
    for attention in mimetic(make(1)):
        value_output = attention.value.weight.T @ attention.output.weight.T
        for product, alpha, beta in ((per_head(attention)[0], 0.7, 0.7), (value_output, 0.4, -0.4)):
            noise = (product - beta * torch.eye(WIDTH)) / alpha
            assert float(noise.std()) == pytest.approx(1 / math.sqrt(WIDTH), rel=5 / math.sqrt(2 * WIDTH**2))
            assert abs(float(noise.mean())) < 5 / math.sqrt(WIDTH) / WIDTH
            # The diagonal's mean is beta but for alpha times the mean of `width` numbers of variance 1 / width.
            assert float(product.diagonal().mean()) == pytest.approx(beta, abs=5 * alpha / WIDTH)


@pytest.mark.parametrize("make", [ours, torchs, timms])
def test_each_head_has_its_rank_and_correlates_with_the_identity(make):
    for attention in mimetic(make(4)):
        for product in per_head(attention):
            assert int(torch.linalg.matrix_rank(product)) == 16
            correlation = torch.corrcoef(torch.stack([product.flatten(), torch.eye(WIDTH).flatten()]))[0, 1]
            # Over entries of unit noise, none would correlate by more than 5 / width = 0.08.
            assert float(correlation) > 0.2
        first, second, *_ = per_head(attention)
        assert not torch.allclose(first, second)  # each head has noise of its own
        # Value and output go over all heads: nothing is lost.
        assert float((attention.value.weight.T @ attention.output.weight.T).diagonal().mean()) == pytest.approx(
            -0.4, abs=0.04
        )


def test_a_head_is_the_best_approximation_of_its_rank():
    """By the singular values: those of a head are the largest of a draw of alpha Z + beta I, whose law is known."""
    generator = torch.Generator().manual_seed(1)
    draws = [0.7 * torch.randn(WIDTH, WIDTH, generator=generator) / 8 + 0.7 * torch.eye(WIDTH) for _ in range(40)]
    expected = torch.stack([torch.linalg.svdvals(draw)[:16] for draw in draws]).mean(dim=0)
    heads = [torch.linalg.svdvals(product)[:16] for a in mimetic(ours(4)) for product in per_head(a)]
    torch.testing.assert_close(torch.stack(heads).mean(dim=0), expected, rtol=0.05, atol=0)


def test_without_noise_the_heads_project():
    """alpha = 0: beta I, whose best approximation of rank k has k singular values beta, and trace beta k."""
    for attention in mimetic(ours(4), alpha1=0.0, beta1=0.5, alpha2=0.0, beta2=0.3):
        for product in per_head(attention):
            assert float(product.trace()) == pytest.approx(0.5 * 16, rel=1e-4)
            torch.testing.assert_close(product @ product, 0.5 * product, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(
            attention.value.weight.T @ attention.output.weight.T, -0.3 * torch.eye(WIDTH), atol=1e-5, rtol=0
        )


def test_tokens_attend_to_themselves_and_their_neighbours():
    """What it is for (the paper's Figure 2): the attention map of the first layer is that of the positions."""
    model = initbench.initialize(ours(1), "mimetic", alpha1=0.0)
    block = model.blocks[0].attention.branch
    with torch.no_grad():
        tokens = block.norm(model.patches.position_embedding)
        attention = find_attentions(model)[0]
        query, key = tokens @ attention.query.weight.T, tokens @ attention.key.weight.T
        scores = (query @ key.transpose(1, 2))[0]
    assert (scores.argmax(dim=1) == torch.arange(49)).all()
    row = scores[24]  # the centre of 7 x 7
    assert min(row[23], row[25], row[17], row[31]) > max(row[0], row[6], row[42], row[48])


def test_sinusoidal_positions_by_hand():
    positions = sinusoidal((1, 10, 8))  # a class token and 3 x 3 patches
    assert positions.shape == (1, 10, 8)
    assert (positions[0, 0] == 0).all()
    x, y = 2, 1  # the third of the second row
    expected = [
        math.sin(x), math.sin(x / 100), math.cos(x), math.cos(x / 100),
        math.sin(y), math.sin(y / 100), math.cos(y), math.cos(y / 100),
    ]  # fmt: skip  # several values to a line
    assert positions[0, 1 + 3 * y + x].tolist() == pytest.approx(expected, abs=1e-6)
    assert [sinusoidal(shape) for shape in ((1, 11, 8), (1, 9, 6), (9, 8), (2, 9, 8))] == [None] * 4


def test_learned_positions_become_sinusoidal_unless_told():
    for model, key in ((ours(4), "patches.position_embedding"), (timms(4), "pos_embed")):
        before = model.get_parameter(key).detach().clone()
        kept = initbench.initialize(model, "mimetic", position_embedding=None, other="default")
        torch.testing.assert_close(kept.get_parameter(key).std(), before.std(), rtol=0.2, atol=0)
        changed = initbench.initialize(model, "mimetic").get_parameter(key)
        torch.testing.assert_close(changed.detach(), sinusoidal(tuple(before.shape)))


def test_bad_input():
    with pytest.raises(ValueError, match=r"unknown position_embedding 'sinusoid'\. Did you mean 'sinusoidal'"):
        initbench.initialize(ours(4), "mimetic", position_embedding="sinusoid")
    with pytest.raises(ValueError, match="mimetic needs self-attention layers, and LeNet has none"):
        initbench.initialize(LeNet(**MNIST), "mimetic")


def test_each_layer_and_each_pair_of_weights_has_noise_of_its_own() -> None:
    first, second = mimetic(ours(1), beta1=0.0, beta2=0.0, alpha2=0.7)
    products = [per_head(each)[0] for each in (first, second)]
    products += [each.value.weight.T @ each.output.weight.T for each in (first, second)]
    correlations = torch.corrcoef(torch.stack([each.detach().flatten() for each in products]))
    assert (correlations - torch.eye(4)).abs().max() < 0.1
