"""A decoder-only transformer for tokens (Radford et al. 2019), with the variants that later models chose."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.model.layers import named
from initbench.schema.ranges import Fraction, PositiveInt

Norm = Literal["layer", "rms"]


class Embedding(nn.Embedding):
    """Draws from N(0, 0.02^2) as Radford et al. (2018) do.

    With torch's own N(0, 1), a tied head would start at a loss of 20.
    """

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, std=0.02)


class CausalAttention(nn.Module):
    """Multi-head attention to the tokens so far, over (batch, tokens, width).

    kv_heads: how many heads of keys and values there are, each shared by a group of queries (Ainslie et al. 2023).
    packed: query, key and value are one layer, `qkv`; otherwise three. rotary: rotates queries and keys by the angles
    of their positions (Su et al. 2021).
    """

    def __init__(self, width: int, heads: int, kv_heads: int, *, packed: bool, rotary: bool, bias: bool) -> None:
        super().__init__()
        self.num_heads, self.kv_heads, self.head_width = heads, kv_heads, width // heads
        self.rotary = rotary
        sizes = (width, kv_heads * self.head_width, kv_heads * self.head_width)
        self.sizes = sizes
        if packed:
            self.qkv = nn.Linear(width, sum(sizes), bias=bias)
        else:
            self.query, self.key, self.value = (nn.Linear(width, size, bias=bias) for size in sizes)
        self.packed = packed
        self.proj = nn.Linear(width, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        batch, tokens, width = x.shape
        parts = self.qkv(x).split(self.sizes, dim=-1) if self.packed else (self.query(x), self.key(x), self.value(x))
        query, key, value = (part.view(batch, tokens, -1, self.head_width).transpose(1, 2) for part in parts)
        if self.rotary:
            query, key = rotated(query), rotated(key)
        if self.kv_heads < self.num_heads:
            group = self.num_heads // self.kv_heads
            key, value = key.repeat_interleave(group, dim=1), value.repeat_interleave(group, dim=1)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        output: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return output


def rotated(x: Tensor) -> Tensor:
    """(batch, heads, tokens, width), each pair of features turned by position/10000^(2 i / width) (Su et al. 2021)."""
    tokens, width = x.shape[-2:]
    half = torch.arange(width // 2, device=x.device, dtype=torch.float32)
    angles = torch.arange(tokens, device=x.device, dtype=torch.float32)[:, None] * 10000 ** (-2 * half / width)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer 2020), over (..., width)."""

    def __init__(self, width: int, hidden: int, *, bias: bool) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=bias)
        self.activation = nn.SiLU()
        self.up = nn.Linear(width, hidden, bias=bias)
        self.down = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape."""
        output: Tensor = self.down(self.activation(self.gate(x)) * self.up(x))
        return output


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)). has_multiplier: a constant, 1, multiplies both branches."""

    multiplier: Tensor | None

    def __init__(
        self,
        attention: nn.Module,
        mlp: nn.Module,
        norms: tuple[nn.Module, nn.Module],
        dropout: float,
        *,
        has_multiplier: bool = False,
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = norms
        self.attention, self.mlp = attention, mlp
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("multiplier", torch.ones(()) if has_multiplier else None)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) to the same shape."""
        x = x + self._scaled(self.dropout(self.attention(self.norm1(x))))
        return x + self._scaled(self.dropout(self.mlp(self.norm2(x))))

    def _scaled(self, branch: Tensor) -> Tensor:
        return branch if self.multiplier is None else self.multiplier * branch


class GPT(nn.Module):
    """Embedding, `depth` blocks, a last norm, and a linear head over the vocabulary.

    positions: learned embeddings, rotary ones, or none. mlp: gelu of 4 x width, or swiglu of 8/3 x width (rounded up to
    a multiple of 8), which has as many weights. tied: the head has the weight of the token embedding. kv_heads: null
    for as many as `heads`. branch_multiplier: each block has a constant, a buffer, by which both of its branches are
    multiplied; it is 1 unless an initializer such as complete_p sets it.

    Raises ValueError for a width that is no multiple of the heads, and heads that are no multiple of kv_heads; with
    rope also for heads of an odd width.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        context_length: int,
        depth: PositiveInt,
        width: PositiveInt,
        heads: PositiveInt,
        kv_heads: PositiveInt | None = None,
        norm: Norm = "layer",
        mlp: Literal["gelu", "swiglu"] = "gelu",
        positions: Literal["learned", "rope", "none"] = "learned",
        projections: Literal["packed", "apart"] = "packed",
        tied: bool = True,
        bias: bool = False,
        dropout: Fraction = 0.0,
        branch_multiplier: bool = False,
    ) -> None:
        super().__init__()
        groups = heads if kv_heads is None else kv_heads
        if width % heads:
            raise ValueError(f"width={width} must be a multiple of heads={heads}")
        if heads % groups:
            raise ValueError(f"heads={heads} must be a multiple of kv_heads={groups}")
        if positions == "rope" and width // heads % 2:
            raise ValueError(f"rope rotates pairs: width / heads = {width // heads} must be even")
        self.context_length = context_length
        self.embedding = Embedding(vocab_size, width)
        self.position_embedding = Embedding(context_length, width) if positions == "learned" else None
        self.dropout = nn.Dropout(dropout)
        packed, rotary = projections == "packed", positions == "rope"
        self.blocks = nn.Sequential(
            named(
                {
                    f"block{number}": Block(
                        CausalAttention(width, heads, groups, packed=packed, rotary=rotary, bias=bias),
                        _mlp(mlp, width, bias=bias),
                        (_norm(norm, width), _norm(norm, width)),
                        dropout,
                        has_multiplier=branch_multiplier,
                    )
                    for number in range(1, depth + 1)
                }
            )
        )
        self.norm = _norm(norm, width)
        self.head = nn.Linear(width, vocab_size, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids (batch, T), T at most context_length, to logits (batch, T, vocab_size) of the next tokens."""
        x = self.embedding(tokens)
        if self.position_embedding is not None:
            x = x + self.position_embedding(torch.arange(tokens.shape[1], device=tokens.device))
        logits: Tensor = self.head(self.norm(self.blocks(self.dropout(x))))
        return logits


def _norm(norm: Norm, width: int) -> nn.Module:
    return nn.LayerNorm(width) if norm == "layer" else nn.RMSNorm(width)


def _mlp(kind: str, width: int, *, bias: bool) -> nn.Module:
    if kind == "swiglu":
        return SwiGLU(width, 8 * math.ceil(width / 3), bias=bias)
    layers = {
        "linear1": nn.Linear(width, 4 * width, bias=bias),
        "activation": nn.GELU(),
        "linear2": nn.Linear(4 * width, width, bias=bias),
    }
    return nn.Sequential(named(layers))
