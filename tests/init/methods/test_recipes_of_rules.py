"""Recipes made of rules and policies alone: the law of each role, against timm and by hand."""

import math
from typing import Any

import pytest
import timm
import torch
from scipy import stats
from timm.models._efficientnet_builder import efficientnet_init_weights
from torch import Tensor, nn

from initbench.init import describe, initialize


def assert_law(values: Tensor, law: Any) -> None:
    assert stats.kstest(values.detach().flatten().numpy(), law.cdf).pvalue > 1e-3


def test_bert() -> None:
    from transformers import BertConfig, BertModel

    sizes = {"vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = initialize(BertModel(BertConfig(**sizes, intermediate_size=64)), "bert")
    truncated = stats.truncnorm(-2, 2, scale=0.02)
    padding = model.embeddings.word_embeddings.padding_idx
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            rows = [i for i in range(len(module.weight)) if getattr(module, "padding_idx", None) != i]
            assert_law(module.weight[rows], truncated)
            assert float(module.weight.detach().abs().max()) <= 0.04, name
        if isinstance(module, nn.Linear):
            assert not module.bias.any()
        if isinstance(module, nn.LayerNorm):
            assert (module.weight == 1).all()
            assert not module.bias.any()
    assert not model.embeddings.word_embeddings.weight[padding].any()
    table = describe(nn.Linear(8, 8), "bert")
    assert table.loc[0, "std_expected"] == pytest.approx(truncated.std())


def test_bert_draws_query_key_and_value_alike() -> None:
    assert_law(initialize(nn.MultiheadAttention(32, 2), "bert").in_proj_weight, stats.truncnorm(-2, 2, scale=0.02))


def test_dcgan_on_a_generator_and_a_discriminator() -> None:
    generator = nn.Sequential(
        nn.ConvTranspose2d(50, 64, 4), nn.BatchNorm2d(64), nn.ReLU(), nn.ConvTranspose2d(64, 3, 4)
    )
    discriminator = nn.Sequential(nn.Conv2d(3, 64, 4), nn.BatchNorm2d(64), nn.LeakyReLU(0.2), nn.Conv2d(64, 1, 4))
    for model in (generator, discriminator):
        initialize(model, "dcgan")
        for layer in (model[0], model[3]):
            assert_law(layer.weight, stats.norm(scale=0.02))
            assert not layer.bias.any()
        assert_law(model[1].weight, stats.norm(1, 0.02))
        assert not model[1].bias.any()
    wide = initialize(nn.Sequential(nn.Conv2d(1, 4000, 1), nn.BatchNorm2d(4000)), "dcgan")
    assert_law(wide[1].weight, stats.norm(1, 0.02))


def test_efficientnet_is_timms() -> None:
    """Its own initialization, layer by layer: the standard deviation that it draws with, and what it drew."""
    torch.manual_seed(0)
    theirs, ours = (timm.create_model("efficientnet_lite0", num_classes=300) for _ in range(2))
    efficientnet_init_weights(theirs)
    table = describe(ours, "efficientnet", seed=1).set_index("parameter")
    kinds = set()
    for name, module in theirs.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.detach()
            if isinstance(module, nn.Linear):
                std, kind = 1 / math.sqrt(3 * module.out_features), "linear"
            else:
                taps = math.prod(module.kernel_size)
                std = math.sqrt(2 / (taps * module.out_channels // module.groups))
                kind = "depthwise" if module.groups > 1 else f"{taps} taps"
            kinds.add(kind)
            row = table.loc[f"{name}.weight"]
            assert row["std_expected"] == pytest.approx(std), name
            tolerance = 5 / math.sqrt(2 * weight.numel())
            assert float(weight.std()) == pytest.approx(std, rel=tolerance), name
            assert row["std"] == pytest.approx(std, rel=tolerance), name
    assert kinds == {"linear", "depthwise", "1 taps", "9 taps"}
    initialize(ours, "efficientnet", seed=1)
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        if not name.endswith("weight") or a.dim() == 1:
            assert torch.equal(a, b), name
    bound = 1 / math.sqrt(300)
    for model in (ours, theirs):
        assert 0.99 * bound < float(model.classifier.weight.detach().abs().max()) <= bound


def test_efficientnet_does_not_depend_on_the_activation() -> None:
    tables = [
        describe(nn.Sequential(nn.Conv2d(3, 8, 3), activation, nn.Flatten(), nn.Linear(8, 2)), "efficientnet")
        for activation in (nn.ReLU(), nn.SiLU(), nn.Tanh())
    ]
    assert all(table["std_expected"].equals(tables[0]["std_expected"]) for table in tables)


def test_efficientnet_needs_a_linear_layer() -> None:
    with pytest.raises(ValueError, match="efficientnet needs layers with a weight of type Linear, and Sequential has"):
        initialize(nn.Sequential(nn.Conv2d(3, 8, 3)), "efficientnet")
