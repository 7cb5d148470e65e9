"""The decoder: its parameters by hand, what a position may see, and each variant against its definition."""

import math
from typing import Any

import pytest
import torch
from configs import compose_config
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init.structure.parts import find_attentions, find_branches
from initbench.model import GPT
from initbench.model.gpt import CausalAttention, SwiGLU, rotated

VARIANTS: dict[str, dict[str, Any]] = {
    "gpt": {},
    "llama": {"norm": "rms", "mlp": "swiglu", "positions": "rope", "tied": False, "kv_heads": 1},
    "apart": {"projections": "apart", "bias": True, "kv_heads": 2},
    "no positions": {"positions": "none", "heads": 1},
    "branch multiplier": {"branch_multiplier": True},
}


def gpt(**options: Any) -> GPT:
    return GPT(**{"vocab_size": 11, "context_length": 8, "depth": 2, "width": 12, "heads": 2, **options})


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    "options, expected",
    [
        ({}, 11 * 12 + 8 * 12 + 2 * (12 * 36 + 12 * 12 + 2 * 12 * 48 + 4 * 12) + 2 * 12),
        ({"tied": False, "positions": "none"}, 2 * 11 * 12 + 2 * (12 * 36 + 12 * 12 + 2 * 12 * 48 + 4 * 12) + 2 * 12),
        ({"bias": True}, 11 * 12 + 8 * 12 + 2 * (13 * 36 + 13 * 12 + 13 * 48 + 49 * 12 + 4 * 12) + 2 * 12),
        (
            {"norm": "rms", "mlp": "swiglu", "positions": "rope", "kv_heads": 1},
            11 * 12 + 2 * (12 * (12 + 6 + 6) + 12 * 12 + 3 * 12 * 32 + 2 * 12) + 12,
        ),
    ],
)
def test_parameters_by_hand(options: dict[str, Any], expected: int) -> None:
    assert count(gpt(**options)) == expected


def test_gpt_2_has_its_published_size() -> None:
    """124,439,808 weights (Radford et al. 2019, as counted by every implementation), with biases and a tied head."""
    with torch.device("meta"):
        model = GPT(vocab_size=50257, context_length=1024, depth=12, width=768, heads=12, bias=True)
    assert count(model) == 124_439_808


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_a_position_sees_what_is_before_it_and_nothing_else(options: dict[str, Any]) -> None:
    model = gpt(**options).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    tokens = torch.randint(11, (3, 8))
    logits = model(tokens)
    assert logits.shape == (3, 8, 11)
    for place in range(8):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % 11
        difference = (model(changed) - logits).abs().amax(dim=(0, 2))
        assert difference[:place].eq(0).all()
        assert difference[place] > 0
        if place < 7:
            assert difference[place + 1 :].max() > 0
    torch.testing.assert_close(model(tokens[:, :5]), logits[:, :5])  # a shorter text is the beginning of a longer


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_attention_by_its_formula(packed: bool, kv_heads: int) -> None:
    layer = CausalAttention(16, 4, kv_heads, packed=packed, rotary=False, bias=True).double()
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    sizes = (16, 4 * kv_heads, 4 * kv_heads)
    parts = layer.qkv(x).split(sizes, -1) if packed else (layer.query(x), layer.key(x), layer.value(x))
    heads = []
    for head in range(4):
        shared = head // (4 // kv_heads)
        query, key, value = (
            part[..., 4 * number : 4 * number + 4] for part, number in zip(parts, (head, shared, shared), strict=True)
        )
        scores = query @ key.transpose(1, 2) / math.sqrt(4)
        scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
        heads.append(scores.softmax(-1) @ value)
    torch.testing.assert_close(layer(x), layer.proj(torch.cat(heads, -1)))


def test_rotations_keep_lengths_and_see_differences_of_positions_alone() -> None:
    query, key = (torch.randn(8, dtype=torch.float64).expand(1, 1, 10, 8) for _ in range(2))
    turned, other = rotated(query), rotated(key)
    torch.testing.assert_close(turned.norm(dim=-1), query.norm(dim=-1))
    scores = (turned @ other.transpose(-1, -2))[0, 0]
    for distance in range(-9, 10):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=1e-5, atol=1e-5)
    assert scores[0].unique().numel() == 10
    torch.testing.assert_close(turned[0, 0, 0], query[0, 0, 0])  # position 0 is not turned
    # The first pair of features is turned by one radian per position.
    first, second = query[0, 0, 0, 0], query[0, 0, 0, 4]
    torch.testing.assert_close(turned[0, 0, 1, 0], first * math.cos(1) - second * math.sin(1), rtol=1e-6, atol=1e-6)


def test_swiglu_by_its_formula() -> None:
    layer, x = SwiGLU(6, 16, bias=True), torch.randn(3, 6)
    torch.testing.assert_close(layer(x), layer.down(F.silu(layer.gate(x)) * layer.up(x)))


@pytest.mark.parametrize("width, hidden", [(12, 32), (16, 48), (20, 56)])
def test_swiglu_is_two_thirds_as_wide_as_an_mlp_rounded_up_to_eights(width: int, hidden: int) -> None:
    layers = [module for module in gpt(width=width, mlp="swiglu").modules() if isinstance(module, SwiGLU)]
    assert [(layer.gate.out_features, layer.up.out_features, layer.down.in_features) for layer in layers] == [
        (hidden, hidden, hidden)
    ] * 2


def test_a_tied_head_is_the_embedding() -> None:
    model = gpt()
    assert model.head.weight is model.embedding.weight
    free = gpt(tied=False)
    assert free.head.weight is not free.embedding.weight


def test_the_branch_multiplier_multiplies_both_branches_and_is_one() -> None:
    plain, model = gpt(), gpt(branch_multiplier=True)
    assert [name for name, _ in model.named_buffers()] == ["blocks.block1.multiplier", "blocks.block2.multiplier"]
    assert not [*plain.buffers()]
    model.load_state_dict(plain.state_dict(), strict=False)
    tokens = torch.randint(11, (2, 8))
    assert torch.equal(model(tokens), plain(tokens))
    model.blocks[0].multiplier.fill_(0)
    x = torch.randn(2, 8, 12)
    assert torch.equal(model.blocks[0](x), x)
    branches = find_branches(model, tokens)
    assert [branch.multiplier is branch.block.multiplier for branch in branches] == [True] * 4
    assert {branch.multiplier for branch in find_branches(plain, tokens)} == {None}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_its_structure_is_found(options: dict[str, Any]) -> None:
    """Two branches in each block, and an attention in each first one."""
    model, tokens = gpt(**options), torch.randint(11, (2, 8))
    branches = find_branches(model, tokens)
    assert [(branch.kind, branch.depth) for branch in branches] == [
        ("attention", 0),
        ("mlp", 0),
        ("attention", 1),
        ("mlp", 1),
    ]
    heads = model.blocks[0].attention.num_heads
    groups = options.get("kv_heads") or heads
    attentions = find_attentions(model, tokens)
    assert [(each.num_heads, each.kv_heads, each.is_self_attention) for each in attentions] == [
        (heads, groups, True)
    ] * 2


@pytest.mark.parametrize(
    "options, said",
    [
        ({"heads": 5}, "width=12 must be a multiple of heads=5"),
        ({"heads": 4, "kv_heads": 3}, "heads=4 must be a multiple of kv_heads=3"),
        ({"heads": 4, "positions": "rope"}, "rope rotates pairs: width / heads = 3 must be even"),
    ],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        gpt(**options)


def test_the_yaml_has_every_key() -> None:
    config = compose_config("task=language_model")["model"]
    assert config["name"] == "gpt"
    gpt(**{key: value for key, value in config.items() if key not in ("_target_", "name")})


def test_it_starts_at_the_loss_of_who_knows_nothing() -> None:
    model, tokens = gpt(vocab_size=48, width=64), torch.randint(48, (8, 8))
    loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    assert loss.item() == pytest.approx(math.log(48), abs=0.1)


def test_dropout_is_of_the_embeddings_and_of_both_branches() -> None:
    """At a probability of one nothing is left but the last norm's zeros; without training all is."""
    model, tokens = gpt(dropout=1.0, bias=True), torch.randint(11, (2, 8))
    plain = gpt(bias=True)
    plain.load_state_dict(model.state_dict())
    x = torch.randn(2, 8, 12)
    assert model(tokens).count_nonzero() == 0
    assert torch.equal(model.blocks[0](x), x)
    assert torch.equal(model.eval()(tokens), plain(tokens))
    assert {module.p for module in gpt(dropout=0.3).modules() if isinstance(module, nn.Dropout)} == {0.3}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_all_layers_but_the_head_have_biases_or_none(options: dict[str, Any], bias: bool) -> None:
    model = gpt(**{**options, "bias": bias})
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    assert linear.pop("head").bias is None
    assert {layer.bias is not None for layer in linear.values()} == {bias}
    kind, other = (nn.RMSNorm, nn.LayerNorm) if options.get("norm") == "rms" else (nn.LayerNorm, nn.RMSNorm)
    assert sum(isinstance(module, kind) for module in model.modules()) == 5
    assert not any(isinstance(module, other) for module in model.modules())


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_rotary_attention_turns_queries_and_keys_and_not_values(kv_heads: int) -> None:
    layer = CausalAttention(16, 2, kv_heads, packed=False, rotary=True, bias=True).double()
    x = torch.randn(2, 5, 16, dtype=torch.float64)
    parts = (layer.query(x), layer.key(x), layer.value(x))
    query, key, value = (part.view(2, 5, -1, 8).transpose(1, 2) for part in parts)
    query, key = rotated(query), rotated(key).expand(2, 2, 5, 8)
    scores = (query @ key.transpose(2, 3) / math.sqrt(8)).masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
    mixed = scores.softmax(-1) @ value.expand(2, 2, 5, 8)
    torch.testing.assert_close(layer(x), layer.proj(mixed.transpose(1, 2).flatten(2)))


def test_each_pair_of_features_is_turned_at_a_speed_of_its_own() -> None:
    """10000^(-2 i / width) radians a position: 1, 0.1, 0.01 and 0.001 for eight features."""
    x = torch.randn(1, 1, 50, 8, dtype=torch.float64)
    turned = rotated(x)
    for pair, speed in enumerate((1.0, 0.1, 0.01, 0.001)):
        as_complex = torch.complex(x[0, 0, :, pair], x[0, 0, :, pair + 4])
        expected = as_complex * torch.exp(1j * speed * torch.arange(50, dtype=torch.float64))
        found = torch.complex(turned[0, 0, :, pair], turned[0, 0, :, pair + 4])
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_angles_are_as_exact_in_half_precision() -> None:
    """A bfloat16 has no 1001."""
    x = torch.ones(1, 1, 1002, 4)
    turned = rotated(x.bfloat16())
    assert turned.dtype == torch.bfloat16
    torch.testing.assert_close(turned.float(), rotated(x), rtol=0, atol=0.02)
