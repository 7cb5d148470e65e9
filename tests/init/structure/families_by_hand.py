"""The families of models whose parts are counted by hand, and torch's and our own transformers."""

from functools import partial
from typing import Any

import torch
from facts import IDS, LAYERS_2, PAIR, Facts
from families_of_transformers import HUGGING_FACE
from families_of_vision import VISION
from torch import nn

from initbench.model.gpt import GPT

MHA = "query {0}.in_proj key {0}.in_proj value {0}.in_proj out {0}.out_proj"
FEED_FORWARD = "inner linear1 out linear2"
SEQUENCE = torch.linspace(-1, 1, 2 * 5 * 8).view(2, 5, 8)

TORCH = {
    "TransformerEncoder": Facts(
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2).eval(),
        (SEQUENCE,),
        LAYERS_2,
        [(2, 2)] * 2,
        block="layers.1.",
        matrices=f"{MHA.format('self_attn')} {FEED_FORWARD}",
        total=12,
    ),
    "TransformerDecoder": Facts(
        lambda: nn.TransformerDecoder(
            nn.TransformerDecoderLayer(8, 2, 16, batch_first=True, norm_first=True), 2
        ).eval(),
        (SEQUENCE, SEQUENCE.flip(1)),
        [0, 0, 0, 1, 1, 1],
        [(2, 2)] * 4,
        others=2,
        block="layers.1.",
        matrices=f"{MHA.format('self_attn')} {MHA.format('multihead_attn')} {FEED_FORWARD}",
        total=20,
    ),
    "Transformer": Facts(
        lambda: nn.Transformer(8, 2, 2, 2, 16, batch_first=True).eval(),
        (SEQUENCE, SEQUENCE.flip(1)),
        **PAIR,
        heads=[(2, 2)] * 6,
        others=2,
        block="decoder.layers.0.",
        matrices=f"{MHA.format('self_attn')} {MHA.format('multihead_attn')} {FEED_FORWARD}",
        total=32,
    ),
}


def ours(attention: str, feed_forward: str, heads: tuple[int, int] = (4, 4), **options: Any) -> Facts:
    make = partial(GPT, vocab_size=32, context_length=16, depth=2, width=16, heads=4, **options)
    positions = [] if "positions" in options else ["position_embedding.weight"]
    matrices = f"{attention} out attention.proj {feed_forward}"
    total = 2 * len(matrices.split()) // 2
    return Facts(make, (IDS,), LAYERS_2, [heads] * 2, 0, "blocks.block2.", matrices, total, positions)


PACKED = "query attention.qkv key attention.qkv value attention.qkv"
APART = "query attention.query key attention.key value attention.value"
MLP = "inner mlp.linear1 out mlp.linear2"
SWIGLU = "gate mlp.gate up mlp.up out mlp.down"
OURS = {
    "our GPT": ours(PACKED, MLP),
    "our GPT, apart": ours(APART, MLP, projections="apart"),
    "our GPT, grouped": ours(PACKED, MLP, (4, 2), kv_heads=2),
    "our GPT, grouped, apart, rotary": ours(APART, MLP, (4, 2), kv_heads=2, projections="apart", positions="rope"),
    "our GPT, as Llama": ours(PACKED, SWIGLU, mlp="swiglu", positions="rope", norm="rms", tied=False),
    "our GPT, no positions": ours(PACKED, MLP, positions="none"),
}

FAMILIES = {**HUGGING_FACE, **VISION, **TORCH, **OURS}
