"""Transformers as people write them: packed with the MLP, with parameters of no layer, shared weights, two heads."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import initialize

WIDTH, HEADS, VOCABULARY, DEPTH = 64, 4, 60, 3


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    heads = [each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in (query, key, value)]
    return F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.linear1, self.linear2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def attention(self, x: Tensor) -> Tensor:
        return self.proj(attend(*self.qkv(x).chunk(3, -1)))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


class Packed(nn.Module):
    """One matrix makes queries, keys, values and the MLP's features, and one writes all (timm's parallel blocks)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.read, self.write = nn.Linear(WIDTH, 7 * WIDTH), nn.Linear(5 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        *parts, hidden = self.read(self.norm(x)).split([WIDTH, WIDTH, WIDTH, 4 * WIDTH], -1)
        return x + self.write(torch.cat([attend(*parts), F.gelu(hidden)], -1))


class PackedGated(nn.Module):
    """The same with a gated MLP, and attention and MLP are added apart (PaLM)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.read, self.proj, self.down = (
            nn.Linear(WIDTH, 7 * WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.Linear(2 * WIDTH, WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        *parts, gate, up = self.read(self.norm(x)).split([WIDTH, WIDTH, WIDTH, 2 * WIDTH, 2 * WIDTH], -1)
        return x + self.proj(attend(*parts)) + self.down(F.silu(gate) * up)


class BareMLP(Block):
    def __init__(self) -> None:
        super().__init__()
        del self.linear1
        self.matrix = nn.Parameter(torch.randn(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.linear2(F.gelu(F.linear(self.norm2(x), self.matrix)))


class BareAttention(Block):
    def __init__(self) -> None:
        super().__init__()
        del self.qkv
        self.query = nn.Parameter(torch.randn(WIDTH, WIDTH))

    def attention(self, x: Tensor) -> Tensor:
        return self.proj(attend(x @ self.query, x, x))


class Mixing(Block):
    """Nothing mixes the heads."""

    def attention(self, x: Tensor) -> Tensor:
        return attend(*self.qkv(x).chunk(3, -1))


class Model(nn.Module):
    def __init__(self, block: Callable[[], nn.Module] = Block) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.position = nn.Parameter(torch.randn(16, WIDTH))
        self.blocks = nn.ModuleList(block() for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def embed(self, ids: Tensor) -> Tensor:
        return self.embedding(ids)

    def features(self, ids: Tensor) -> Tensor:
        x = self.embed(ids) + self.position[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.features(ids))


class BareHead(Model):
    def __init__(self) -> None:
        super().__init__()
        del self.head
        self.matrix = nn.Parameter(torch.randn(VOCABULARY, WIDTH))

    def forward(self, ids: Tensor) -> Tensor:
        return F.linear(self.features(ids), self.matrix)


class BareTable(Model):
    def __init__(self, *, by_index: bool) -> None:
        super().__init__()
        del self.embedding
        self.table, self.by_index = nn.Parameter(torch.randn(VOCABULARY, WIDTH)), by_index

    def embed(self, ids: Tensor) -> Tensor:
        return self.table[ids] if self.by_index else F.embedding(ids, self.table)


class TwoHeads(Model):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Linear(WIDTH, 32)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        x = self.features(ids)
        return self.value(x), self.head(x)


class Siamese(Model):
    """Two streams by the same blocks."""

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.features(ids) * self.features(ids.flip(1)))


def has_std(weight: Tensor, std: float) -> bool:
    """Within 6 standard errors of the deviation of normal or uniform numbers."""
    return abs(weight.std().item() / std - 1) < 6 / math.sqrt(2 * weight.numel())


def test_all_rows_of_a_matrix_that_is_packed_with_the_mlp_are_drawn() -> None:
    model = initialize(Model(Packed), "gpt2")
    for block in model.blocks:
        for part in block.read.weight.split(WIDTH):
            assert has_std(part, 0.02)
        assert has_std(block.write.weight, 0.02 / math.sqrt(DEPTH))


def test_gate_and_up_beside_an_attention_are_those_of_the_mlp() -> None:
    model = initialize(Model(PackedGated), "llama_depth")
    for layer, block in enumerate(model.blocks):
        scaled = 0.02 / math.sqrt(2 * (layer + 1))
        reading, up = block.read.weight.split([5 * WIDTH, 2 * WIDTH])
        assert has_std(reading, 0.02)
        for weight in (up, block.proj.weight, block.down.weight):
            assert has_std(weight, scaled)


@pytest.mark.parametrize(
    "make, recipe, name",
    [
        (lambda: Model(BareMLP), "gpt2", "blocks.0.matrix is multiplied outside"),
        (lambda: Model(BareMLP), "sub_ln", "blocks.0.matrix is multiplied outside"),
        (lambda: Model(BareMLP), "complete_p", "blocks.0.matrix is multiplied outside"),
        (lambda: Model(BareAttention), "gpt2", "blocks.0.query is multiplied outside"),
        (lambda: Model(BareAttention), "sub_ln", "blocks.0.query is multiplied outside"),
        (BareHead, "gpt2", "^matrix belongs to no layer or embedding"),
        (BareHead, "mitchell", "^matrix belongs to no layer or embedding"),
        (lambda: BareTable(by_index=False), "gpt2", "^table belongs to no layer or embedding"),
        (lambda: BareTable(by_index=True), "mitchell", "^table belongs to no layer or embedding"),
        (lambda: Model(Mixing), "sub_ln", "needs an output projection in each attention, and blocks.0 has none$"),
    ],
)
def test_what_cannot_be_told_is_refused_by_name(make: Callable[[], nn.Module], recipe: str, name: str) -> None:
    with pytest.raises(ValueError, match=name):
        initialize(make(), recipe, batch=torch.arange(32).view(4, 8))


def test_positions_that_are_a_parameter_are_drawn() -> None:
    assert has_std(initialize(Model(), "gpt2", position_std=0.01).position, 0.01)


def test_a_block_that_runs_several_times_adds_as_many_branches() -> None:
    shared = Model()
    shared.blocks = nn.ModuleList([Block()] * DEPTH)
    for model in (shared, Siamese()):
        assert has_std(initialize(model, "gpt2").blocks[0].linear2.weight, 0.02 / math.sqrt(2 * DEPTH))


def test_all_heads_read_the_stream() -> None:
    model = initialize(TwoHeads(), "small_init")
    for head in (model.value, model.head):
        assert has_std(head.weight, math.sqrt(2 / (5 * WIDTH)))


def test_a_weight_that_blocks_share_is_scaled_once_and_drawn_as_that_of_the_first() -> None:
    model = Model()
    for block in model.blocks[1:]:
        block.linear2.weight = model.blocks[0].linear2.weight
    initialize(model, "complete_p", base_width=WIDTH / 4, base_depth=DEPTH)
    assert has_std(model.blocks[0].linear2.weight, 0.02 / 2)
    initialize(model, "mitchell")
    assert has_std(model.blocks[0].linear2.weight, 0.9866 / math.sqrt(2 * 4 * WIDTH))  # cut at three deviations
