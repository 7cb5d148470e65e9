"""Mimetic initialization: the products of self-attention weights resemble those of trained transformers."""

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor, nn

from initbench.errors import unknown
from initbench.init.parametrized import write
from initbench.init.roles import NamedParameter
from initbench.init.structure.attention import Attention


@torch.no_grad()
def mimetic_(
    model: nn.Module,
    attentions: list[Attention],
    positions: list[NamedParameter],
    stream: Callable[[str], Generator],
    *,
    alpha1: float = 0.7,
    beta1: float = 0.7,
    alpha2: float = 0.4,
    beta2: float = 0.4,
    position_embedding: str | None = "sinusoidal",
) -> None:
    """W_Q W_K^T ~ alpha1 Z + beta1 I in each head, and W_V W_proj = alpha2 Z - beta2 I, Z of entries N(0, 1 / width).

    As in the paper weights multiply from the right, x W, so they are the transposes of torch's. With U S V^T the
    singular value decomposition of the right-hand side,

        W_Q = U S^(1/2), W_K = V S^(1/2)        for the `head width` largest singular values, with a new Z per head;
        W_V = U S^(1/2), W_proj = S^(1/2) V^T   over all heads at once, of full rank, so the product is exact.

    A head is narrower than its input, so its W_Q W_K^T is the best approximation of its rank.

    The paper uses sinusoidal position embeddings: tokens at close positions are then similar, and with W_Q W_K^T ~ I
    they attend to each other. "sinusoidal" sets learned position embeddings of shape (1, tokens, width) to these if the
    tokens form a square grid, with or without a class token (whose embedding is zero), and the width is a multiple of
    4: two quarters are sin and cos of x, two of y, at frequencies 10000^(-4 i / width). All other position embeddings,
    and all with None, keep their values. The paper's norms precede the branches; here they may be anywhere.

    Cross-attentions, and attentions whose matrices do not all have the shape (width, width), such as those with fewer
    heads of keys than of queries, keep their values.

    Raises ValueError if there is no other attention, and for an unknown position_embedding.

    Source: Trockman & Kolter 2023, section 4.
    Acts on: query, key, value and output weights of self-attention; position embeddings.
    """
    if position_embedding not in ("sinusoidal", None):
        raise unknown("position_embedding", position_embedding, ("sinusoidal", "null"))
    square = [attention for attention in attentions if attention.is_square]
    if not square:
        first = attentions[0]
        shapes = ", ".join(str(each.shape) for each in first.projections)
        raise ValueError(
            "mimetic needs self-attention layers whose query, key, value and output have shape (width, width), and "
            f"those of {first.query.name} are {shapes if first.is_self_attention else 'of a cross-attention'}"
        )
    for attention in square:
        width, head = attention.width, attention.width // attention.num_heads
        generator = stream(f"{attention.name}.query_key")
        heads = [_factors(_noisy_identity(width, alpha1, beta1, generator), head) for _ in range(attention.num_heads)]
        query, key = (torch.cat(parts, dim=1) for parts in zip(*heads, strict=True))
        generator = stream(f"{attention.name}.value_output")
        value, output = _factors(_noisy_identity(width, alpha2, -beta2, generator), width)
        attention.query.write(query.T)
        attention.key.write(key.T)
        attention.value.write(value.T)
        if attention.output is not None:
            attention.output.write(output)
    if position_embedding is not None:
        for found in positions:
            if (waves := sinusoidal(found.tensor.shape)) is not None:
                write(found.module, found.key, waves)


def sinusoidal(shape: tuple[int, ...]) -> Tensor | None:
    """Position embeddings of shape (1, tokens, width) for a square grid, row by row; None if the shape is not one."""
    if len(shape) != 3 or shape[0] != 1 or shape[2] % 4:
        return None
    side = math.isqrt(shape[1])
    tokens = shape[1] - side**2  # those that are not patches: the class token
    if tokens > 1:
        return None
    frequencies = 10_000 ** (-torch.arange(shape[2] // 4) / (shape[2] // 4))
    angles = torch.arange(side)[:, None] * frequencies
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (side, width / 2)
    grid = torch.cat([waves.repeat(side, 1), waves.repeat_interleave(side, dim=0)], dim=1)
    return torch.cat([torch.zeros(tokens, shape[2]), grid])[None]


def _noisy_identity(width: int, alpha: float, beta: float, generator: Generator) -> Tensor:
    noise = torch.randn(width, width, generator=generator) / math.sqrt(width)
    return alpha * noise + beta * torch.eye(width)


def _factors(product: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """A and B of shape (width, rank); A B^T is the best approximation of that rank (Eckart & Young 1936)."""
    u, s, vh = torch.linalg.svd(product)
    root = s[:rank].sqrt()
    return u[:, :rank] * root, vh[:rank].T * root
