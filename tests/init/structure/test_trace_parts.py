"""What a trace tells of attentions, embeddings, tokens and gates where the operations around them are unusual."""

from typing import Any

import pytest
import torch
from running import Learned, ReZero
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init.structure.parts import Parts, find_attentions, find_branches

X = torch.linspace(-1, 1, 80).view(2, 5, 8)

IDS = torch.arange(10).view(2, 5)


class Heads(nn.Module):
    """Attention by hand; `mix` makes the output of this module and x; heads are (batch, heads, tokens, 4)."""

    def __init__(self, mix: Any) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(8, 8) for _ in range(3))
        self.proj, self.gate, self.feed = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.mix = mix

    def heads(self, x: Tensor, memory: Tensor | None = None) -> tuple[Tensor, ...]:
        memory = x if memory is None else memory
        made = (self.query(x), self.key(memory), self.value(memory))
        return tuple(each.unflatten(-1, (2, 4)).transpose(1, 2) for each in made)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self, x)


def joined(mixed: Tensor) -> Tensor:
    return mixed.transpose(1, 2).flatten(2)


def gated(m: Heads, x: Tensor) -> Tensor:
    """The layer of the gate runs between the attention and its output."""
    mixed = joined(F.scaled_dot_product_attention(*m.heads(x)))
    return m.proj(torch.sigmoid(m.gate(x)) * mixed)


def values_first(m: Heads, x: Tensor) -> Tensor:
    query, key, value = (each.flatten(0, 1) for each in m.heads(x))
    weights = torch.softmax(torch.bmm(query, key.transpose(1, 2)), -1).transpose(1, 2)
    return m.proj(joined(torch.bmm(value.transpose(1, 2), weights).transpose(1, 2).unflatten(0, (2, 2))))


def by_hand(m: Heads, x: Tensor) -> Tensor:
    query, key, value = m.heads(x)
    scores = query @ key.transpose(2, 3) / 2 + torch.zeros(5, 5)
    return m.proj(joined(torch.softmax(scores.clamp(max=9), -1) @ value))


def from_elsewhere(m: Heads, x: Tensor) -> Tensor:
    return m.proj(joined(F.scaled_dot_product_attention(*m.heads(x, torch.tanh(x)))))


def without_output(m: Heads, x: Tensor) -> Tensor:
    x = x + joined(F.scaled_dot_product_attention(*m.heads(x)))
    return x + m.feed(x)


@pytest.mark.parametrize("mix", [gated, values_first, by_hand, from_elsewhere, without_output])
def test_the_layers_of_an_attention_are_told_whatever_runs_between_them(mix: Any) -> None:
    (found,) = find_attentions(Heads(mix), X)
    names = [each.name for each in found.projections]
    assert names == ["query.weight", "key.weight", "value.weight", *(["proj.weight"] * (mix is not without_output))]
    assert (found.num_heads, found.kv_heads, found.width) == (2, 2, 8)
    assert found.is_self_attention == (mix is not from_elsewhere)
    assert found.is_square == (mix in (gated, values_first, by_hand))


class Grouped(nn.Module):
    """Three heads of queries of two features, one of keys and values, from inputs of eight features."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = nn.Linear(8, 6), nn.Linear(8, 2), nn.Linear(8, 2)
        self.proj = nn.Linear(6, 8)

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).unflatten(-1, (3, 2)).transpose(1, 2)
        key, value = (layer(x).unsqueeze(1).expand(-1, 3, -1, -1) for layer in (self.key, self.value))
        return x + self.proj(joined(F.scaled_dot_product_attention(query, key, value)))


def test_heads_of_queries_and_of_keys_are_counted_apart_and_the_width_is_that_of_the_inputs() -> None:
    (found,) = find_attentions(Grouped(), X)
    assert (found.num_heads, found.kv_heads, found.width, found.is_square) == (3, 1, 8, False)
    assert [each.shape for each in found.projections] == [(6, 8), (2, 8), (2, 8), (8, 6)]


def test_a_block_that_runs_twice_has_one_attention() -> None:
    block = Heads(gated)
    assert len(find_attentions(nn.Sequential(block, block), X)) == 1


class OneHot(nn.Embedding):
    """It multiplies, and looks nothing up."""

    def forward(self, ids: Tensor) -> Tensor:
        return F.one_hot(ids, self.num_embeddings).float() @ self.weight


class Counted(nn.Embedding):
    """It uses only the shape of its argument, as BART's positions."""

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(torch.arange(ids.shape[1]).expand(ids.shape))


class Embeds(nn.Module):
    """Tokens, their places, one kind for all, and a table that is used for ids first and for places then."""

    def __init__(self, tokens: type[nn.Embedding] = nn.Embedding) -> None:
        super().__init__()
        self.tokens, self.places, self.kinds = tokens(10, 8), nn.Embedding(5, 8), nn.Embedding(2, 8)
        self.counted, self.both, self.block = Counted(5, 8), nn.Embedding(10, 8), ReZero()

    def forward(self, ids: Tensor) -> Tensor:
        at = torch.arange(ids.shape[1])
        x = self.tokens(ids) + self.places(at) + self.kinds(torch.zeros_like(at)) + self.counted(ids)
        return self.block(x + self.both(ids) + self.both(at))


@pytest.mark.parametrize("tokens", [nn.Embedding, OneHot])
def test_an_embedding_of_numbers_that_count_is_one_of_positions(tokens: type[nn.Embedding]) -> None:
    parts = Parts(Embeds(tokens), IDS)
    assert [branch.name for branch in parts.branches] == ["block.f"]
    assert [found.name for found in parts.positions] == ["places.weight", "counted.weight"]


@pytest.mark.parametrize(
    "use, has_gate",
    [
        (lambda m, x: x + m.own * m.first(x), True),
        (lambda m, x: x + m.own.view(1, 8) * m.first(x), True),
        (lambda m, x: x + m.factor[:1] * m.first(x), False),
        (lambda m, x: x + (m.own * m.factor[0]) * m.first(x), False),
        (lambda m, x: x + torch.tanh(m.own) * m.first(x), False),
    ],
)
def test_a_gate_is_a_whole_parameter(use: Any, has_gate: bool) -> None:
    model = Learned(use, 8)
    (branch,) = find_branches(model, X)
    assert branch.gate is (model.own if has_gate else None)


@pytest.mark.parametrize(
    "use, number",
    [
        (lambda m, x: torch.stack([x, m.first(x)]).sum(0), 1),
        (lambda m, x: torch.stack([x, m.first(x)]).sum(2), 0),
        (lambda m, x: torch.stack([x, m.first(x)]).sum((0, 2)), 0),
        (lambda m, x: torch.stack([x, m.first(x)]).sum(), 0),
        (lambda m, x: torch.zeros_like(x) + m.first(x), 0),
        (lambda m, x: x.new_ones(8) * 0 + m.first(x), 0),
    ],
)
def test_only_a_sum_over_the_stack_adds_its_terms(use: Any, number: int) -> None:
    assert len(find_branches(Learned(use, 8), X)) == number


def test_the_parts_of_a_split_are_different() -> None:
    def halves(m: Learned, x: Tensor) -> Tensor:
        one, other = x.split(4, dim=-1)
        return torch.cat([one + m.second(x)[..., :4], other], -1) + F.pad(m.first(x)[..., :4], (0, 4))

    def crossed(m: Learned, x: Tensor) -> Tensor:
        one, other = x.split(4, dim=-1)
        return one + m.first(F.pad(other, (0, 4)))[..., :4]

    assert find_branches(Learned(crossed, 8), X) == []
    (branch,) = find_branches(Learned(halves, 8), X)  # the sum below is of no skip connection
    assert [name for name, _ in branch.modules] == ["second"]


def test_the_error_for_the_first_inputs_is_the_one_that_is_told() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.block = ReZero()

        def forward(self, x: Tensor) -> Tensor:
            raise KeyError(f"{x.dim()} axes")

    with pytest.raises(ValueError, match=r"with inputs of shape \(2, 3, 5, 7\): .*4 axes"):
        find_branches(Picky(), torch.randn(4, 3, 5, 7))


class Queries(nn.Module):
    """Its learned tokens are the weight of an embedding, as in DETR."""

    def __init__(self) -> None:
        super().__init__()
        self.queries, self.norm = nn.Embedding(3, 8), nn.LayerNorm(8)
        self.cross, self.block = nn.MultiheadAttention(8, 2, batch_first=True), ReZero()

    def forward(self, x: Tensor) -> Tensor:
        latents = self.queries.weight.unsqueeze(0).expand(len(x), -1, -1)
        latents = latents + self.cross(self.norm(latents), x, x, need_weights=False)[0]
        return self.block(latents)


def test_the_weight_of_an_embedding_may_be_tokens() -> None:
    assert [branch.name for branch in find_branches(Queries(), X)] == ["cross", "block.f"]


class Convolved(nn.Module):
    """An attention over the places of an image, whose queries, keys and values one convolution makes."""

    def __init__(self) -> None:
        super().__init__()
        self.made, self.proj = nn.Conv2d(8, 24, 1), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        key, query, value = self.made(x).flatten(2).unflatten(1, (3, 2, 4)).transpose(-1, -2).unbind(1)
        mixed = F.scaled_dot_product_attention(query, key, value)
        return x + self.proj(mixed.transpose(-1, -2).flatten(1, 2).view_as(x))


def test_the_features_of_a_convolution_are_its_channels() -> None:
    model = Convolved()
    image = torch.randn(2, 8, 3, 5, generator=torch.Generator().manual_seed(0))
    (found,) = find_attentions(model, image)
    rows = [each.rows for each in (found.query, found.key, found.value)]
    assert rows == [tuple(range(8, 16)), tuple(range(8)), tuple(range(16, 24))]
    assert (found.num_heads, [branch.kind for branch in find_branches(model, image)]) == (2, ["attention"])


def test_a_parameter_in_which_rows_are_looked_up_is_loose() -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.unused = nn.Parameter(torch.ones(10, 8)), nn.Parameter(torch.ones(10, 8))
            self.vector, self.block = nn.Parameter(torch.ones(10)), ReZero()

        def forward(self, ids: Tensor) -> Tensor:
            return self.block(self.table[ids] + self.vector[ids].unsqueeze(-1))

    assert [found.name for found in Parts(Table(), IDS).loose] == ["table"]


def test_a_weight_that_two_layers_share_belongs_to_the_first() -> None:
    model = Learned(lambda m, x: x + F.linear(x, m.second.weight), 8)
    model.second.weight = model.first.weight
    (branch,) = find_branches(model, X)
    assert [name for name, _ in branch.modules] == ["first"]


def test_a_norm_that_calls_an_activation_is_not_only_a_norm_and_the_next_one_is() -> None:
    layers = pytest.importorskip("timm.layers", reason="needs the extra `timm`")
    model = nn.Sequential(layers.BatchNormAct2d(4), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    trace = Parts(model, torch.randn(2, 4, 3, 3)).trace
    assert trace is not None
    assert [step.kind for step in trace.steps] == ["input", "other", "layer", "norm"]


def test_what_is_written_into_a_part_leaves_the_rest_as_it_was() -> None:
    def rewritten(m: Learned, x: Tensor) -> Tensor:
        y = x.clone()
        y[:, :2].copy_(m.first(x)[:, :2])
        return m.second(y) + x

    (branch,) = find_branches(Learned(rewritten, 8), X)
    assert [name for name, _ in branch.modules] == ["first", "second"]


def test_of_a_memory_that_is_written_in_part_the_other_part_stays() -> None:
    def replaced(m: Learned, x: Tensor) -> Tensor:
        y = m.first(x)
        y.view(2, 40)[:, :20].copy_(torch.tanh(x).flatten(1)[:, :20])
        return m.second(y)

    trace = Parts(Learned(replaced, 8), X).trace
    assert trace is not None
    first, second = (index for index, step in enumerate(trace.steps) if step.kind == "layer")
    read = trace.steps[trace.steps[second].inputs[0]]
    assert read.kind == "other"
    assert read.ancestors >> first & 1


def test_a_gated_mlp_in_the_branch_of_an_attention_is_inner() -> None:
    class Joined(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix, self.gate, self.up = Heads(lambda m, x: x), nn.Linear(8, 8), nn.Linear(8, 8)
            self.out = nn.Linear(16, 8)

        def forward(self, x: Tensor) -> Tensor:
            mixed = joined(F.scaled_dot_product_attention(*self.mix.heads(x)))
            return x + self.out(torch.cat([mixed, F.silu(self.gate(x)) * self.up(x)], -1))

    found = {each.projection.name: each.purpose for each in Parts(Joined(), X).branch_matrices}
    assert found == {
        "mix.query.weight": "query",
        "mix.key.weight": "key",
        "mix.value.weight": "value",
        "gate.weight": "inner",
        "up.weight": "inner",
        "out.weight": "out",
    }


def test_parameters_come_by_their_first_use_and_unused_ones_last() -> None:
    model = Learned(lambda m, x: m.first(m.second(x)), 8)
    found = [each.name for each in Parts(model, X).parameters]
    assert found == ["second.weight", "second.bias", "first.weight", "first.bias", "own", "factor"]
