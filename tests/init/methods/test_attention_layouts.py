"""Which stacked projections are query, key and value one after the other: methods pass over all other layouts."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from initbench.init import initialize
from initbench.init.structure.parts import find_attentions


class Attention(nn.Module):
    """The attributes that an attention is told by; `beside` are those of one that stacks them head by head."""

    def __init__(self, width: int = 8, **beside: Any) -> None:
        super().__init__()
        self.qkv, self.proj, self.num_heads = nn.Linear(width, 3 * width), nn.Linear(width, width), 2
        vars(self).update(beside)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = self.qkv(tokens).chunk(3, dim=-1)
        return self.proj((query @ key.transpose(-2, -1)).softmax(-1) @ value)


def test_query_key_and_value_are_thirds_in_this_order() -> None:
    attention = Attention()
    (found,) = find_attentions(attention)
    assert torch.equal(torch.cat([found.query.weight, found.key.weight, found.value.weight]), attention.qkv.weight)
    assert found.output.weight is not attention.proj.weight
    assert torch.equal(found.output.weight, attention.proj.weight)
    assert (found.width, found.num_heads) == (8, 1)  # as it computes, whatever its attribute says


class Interleaved(nn.Module):
    """Query, key and value of each head follow each other, as in GPT-NeoX; keys and values may be shared by heads."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups, self.per_group = groups, 4 // groups
        self.dense, self.out = nn.Linear(8, 2 * groups * (self.per_group + 2)), nn.Linear(8, 8)

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.dense(tokens).view(*tokens.shape[:2], self.groups, self.per_group + 2, 2)
        query, key, value = parts.split([self.per_group, 1, 1], dim=3)
        key, value = (part.expand_as(query) for part in (key, value))
        query, key, value = (part.flatten(2, 3).transpose(1, 2) for part in (query, key, value))
        mixed = nn.functional.scaled_dot_product_attention(query * 0.5, key, value)
        return self.out(mixed.transpose(1, 2).flatten(2))


class Complex(Attention):
    """Rotates pairs of features as complex numbers, as the first Llama did."""

    def forward(self, tokens: Tensor) -> Tensor:
        parts = self.qkv(tokens).view(*tokens.shape[:2], 3, 2, -1, 2).unbind(2)
        angles = torch.arange(tokens.shape[1])[:, None, None] * torch.ones(2)
        turns = torch.polar(torch.ones_like(angles), angles)
        query, key = (torch.view_as_real(torch.view_as_complex(part) * turns) for part in parts[:2])
        query, key, value = (part.flatten(-2).transpose(1, 2) for part in (query, key, parts[2]))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.proj(mixed.transpose(1, 2).flatten(2))


def test_features_that_are_rotated_as_complex_numbers_are_followed() -> None:
    (found,) = find_attentions(Complex())
    assert (found.num_heads, found.kv_heads, found.is_square) == (2, 2, True)
    assert [found.query.rows, found.key.rows] == [tuple(range(8)), tuple(range(8, 16))]


def test_rows_of_each_head_are_found_where_they_follow_each_other() -> None:
    (found,) = find_attentions(Interleaved(4))
    assert found.query.rows == (0, 1, 6, 7, 12, 13, 18, 19)
    assert found.key.rows == (2, 3, 8, 9, 14, 15, 20, 21)
    assert found.value.rows == (4, 5, 10, 11, 16, 17, 22, 23)
    assert (found.num_heads, found.kv_heads, found.is_square) == (4, 4, True)


def test_shared_keys_and_values_have_fewer_heads() -> None:
    (found,) = find_attentions(Interleaved(2))
    assert found.query.rows == (0, 1, 2, 3, 8, 9, 10, 11)
    assert (found.key.rows, found.value.rows) == ((4, 5, 12, 13), (6, 7, 14, 15))
    assert (found.num_heads, found.kv_heads) == (4, 2)
    with pytest.raises(ValueError, match=r"those of .* are \(8, 8\), \(4, 8\), \(4, 8\), \(8, 8\)$"):
        initialize(Interleaved(2), "mimetic")


def test_a_projection_is_written_alone() -> None:
    model = Interleaved(2)
    (found,) = find_attentions(model)
    before = model.dense.weight.detach().clone()
    found.key.write(torch.zeros(4, 8))
    changed = (model.dense.weight != before).any(1).nonzero().flatten().tolist()
    assert changed == [4, 5, 12, 13]
    assert torch.equal(found.key.weight, torch.zeros(4, 8))
