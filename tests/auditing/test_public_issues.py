"""Small models with the faults of public issues, in our own words: an audit names each."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import audit

WIDTH, HEADS, LAYERS, TOKENS, LENGTH = 64, 4, 4, 50, 16
BATCH = torch.randint(TOKENS, (4, LENGTH), generator=torch.Generator().manual_seed(0))


class Attention(nn.Module):
    """Causal self-attention with four matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (w(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.wo(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]  # of a module


class Block(nn.Module):
    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.attention_norm, self.mlp_norm = nn.RMSNorm(WIDTH), nn.RMSNorm(WIDTH)
        self.attention = Attention()
        self.w1, self.w3 = (nn.Linear(WIDTH, 3 * WIDTH, bias=False) for _ in range(2))
        self.w2 = nn.Linear(3 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        hidden = self.mlp_norm(x)
        return x + self.w2(F.silu(self.w1(hidden)) * self.w3(hidden))  # type: ignore[no-any-return]  # as above


class Transformer(nn.Module):
    """A pre-norm language model with gated MLPs; `draw` gives a matrix its values."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, WIDTH)
        self.blocks = nn.ModuleList(Block(layer) for layer in range(LAYERS))
        self.norm, self.head = nn.RMSNorm(WIDTH), nn.Linear(WIDTH, TOKENS, bias=False)
        self.init_weights()

    def init_weights(self) -> None:
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=WIDTH**-0.5)
        for block in self.blocks:
            assert isinstance(block, Block)
            out = 0.02 / math.sqrt(2 * (block.layer + 1))
            for layer in (block.attention.wq, block.attention.wk, block.attention.wv, block.w1, block.w3):
                self.draw(layer, 0.02)
            for layer in (block.attention.wo, block.w2):
                self.draw(layer, out)

    def draw(self, layer: nn.Linear, std: float) -> None:
        nn.init.trunc_normal_(layer.weight, std=std, a=-3 * std, b=3 * std)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]  # as above


class CutsNothing(Transformer):
    """torchtitan 3334: torch's default bounds of 2 are a hundred standard deviations away, and values are scaled."""

    def draw(self, layer: nn.Linear, std: float) -> None:
        nn.init.trunc_normal_(layer.weight, std=std)

    def init_weights(self) -> None:
        super().init_weights()
        for block in self.blocks:
            assert isinstance(block, Block)
            self.draw(block.attention.wv, 0.02 / math.sqrt(2 * (block.layer + 1)))


class LeavesOneEmpty(Transformer):
    """transformers, pull request 44575: a parameter that no rule of the model knows."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens) * self.scale.sum()


class EmbeddingOfOne(Transformer):
    """EasyLM 114: the embedding keeps a standard deviation of 1, which nobody meant."""

    def init_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Linear):
                self.draw(module, 0.02)


class Experts(nn.Module):
    """A layer with a rule of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(WIDTH, WIDTH))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.uniform_(self.weight, -0.1, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.T


class ParentOverwrites(Transformer):
    """litgpt 1150: the model's rule is applied to every part, and reaches one that has drawn its own weights."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = Experts()
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(getattr(module, "weight", None), Tensor) and not isinstance(module, nn.RMSNorm):
            nn.init.normal_(module.weight, std=0.02)  # type: ignore[arg-type]  # asked above

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens)
        return self.head(self.norm(self.experts(x)))  # type: ignore[no-any-return]  # as above


def found(model: type[nn.Module]) -> dict[str, str]:
    """Errors and warnings: the check, with the first parameter that it names."""
    return {
        finding.check: finding.parameter
        for finding in reversed(audit(model, BATCH).findings)
        if finding.severity != "note"
    }


def test_the_sound_one_passes() -> None:
    assert found(Transformer) == {}


def test_cuts_that_never_cut_and_values_that_are_scaled() -> None:
    assert found(CutsNothing) == {
        "a cut that never cuts": "blocks.0.attention.wq.weight",
        "scaled by depth off the stream": "blocks.0.attention.wv.weight",
    }


def test_a_parameter_that_is_left_empty() -> None:
    assert found(LeavesOneEmpty)["uninitialized memory"] == "scale"


def test_an_embedding_at_one() -> None:
    assert found(EmbeddingOfOne) == {"skipped": "embedding.weight"}


def test_a_parent_that_overwrites() -> None:
    assert found(ParentOverwrites)["overwritten"] == "experts.weight"
