"""Models of transformers, counted by hand in their papers and in the code of their classes."""

from collections.abc import Callable
from typing import Any

import transformers
from facts import IDS, IMAGES, LAYERS_2, PAIR, Facts
from torch import nn


def huggingface(family: str, head: str = "Model", config: str = "", **options: Any) -> Callable[[], nn.Module]:
    """A model of transformers, of the class `family` + `head`."""
    settings = getattr(transformers, f"{config or family}Config")
    return lambda: getattr(transformers, family + head)(settings(**options)).eval()


SIZES = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 24}
N_SIZES = {"vocab_size": 32, "n_embd": 16, "n_layer": 2, "n_head": 4, "n_positions": 16}
BERT = (
    "query attention.self.{} key attention.self.{} value attention.self.{} out attention.output.dense "
    "inner intermediate.dense out output.dense"
)
PACKED_NEOX = "query {0} key {0} value {0} out {1}.dense inner mlp.dense_h_to_4h out mlp.dense_4h_to_h"
LLAMA = (
    "query self_attn.q_proj key self_attn.k_proj value self_attn.v_proj out self_attn.o_proj "
    "gate mlp.gate_proj up mlp.up_proj out mlp.down_proj"
)


def decoder(family: str, block: str, matrices: str, heads: tuple[int, int] = (4, 4), **more: Any) -> Facts:
    """A language model of two layers."""
    positions, others = more.pop("positions", []), more.pop("others", 0)
    make = huggingface(family, "ForCausalLM", **{**SIZES, **more})
    total = 2 * len(matrices.split()) // 2
    return Facts(make, (IDS,), LAYERS_2, [heads] * 2, others, block, matrices, total, positions)


def llama(family: str, heads: tuple[int, int] = (4, 2), **more: Any) -> Facts:
    config = {"num_key_value_heads": heads[1], "pad_token_id": 0, **more}
    return decoder(family, "model.layers.0.", LLAMA, heads, **config)


def encoder(
    family: str, block: str = "encoder.layer.0.", matrices: str = BERT.format("query", "key", "value"), **config: Any
) -> Facts:
    positions = config.pop("positions", ["embeddings.position_embeddings.weight"])
    make = huggingface(family, **(config if "vocab_size" in config else {**SIZES, **config}))
    total = 2 * len(matrices.split()) // 2
    return Facts(make, (IDS,), LAYERS_2, [(4, 4)] * 2, 0, block, matrices, total, positions)


T5 = {"vocab_size": 32, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
T5_BIAS = "block.0.layer.0.SelfAttention.relative_attention_bias.weight"  # the first layer's serves all
BART = {
    **{"vocab_size": 32, "d_model": 16, "max_position_embeddings": 32, "encoder_layers": 2, "decoder_layers": 2},
    **{"encoder_attention_heads": 4, "decoder_attention_heads": 2, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24},
}
HUGGING_FACE = {
    "gpt2": Facts(
        huggingface("GPT2", "LMHeadModel", **N_SIZES),
        (IDS,),
        LAYERS_2,
        [(4, 4)] * 2,
        block="transformer.h.0.",
        matrices="query attn.c_attn key attn.c_attn value attn.c_attn out attn.c_proj inner mlp.c_fc out mlp.c_proj",
        total=12,
        positions=["transformer.wpe.weight"],
    ),
    "gpt_neox": decoder("GPTNeoX", "gpt_neox.layers.0.", PACKED_NEOX.format("attention.query_key_value", "attention")),
    "gpt_neox-sequential": decoder(
        "GPTNeoX",
        "gpt_neox.layers.0.",
        PACKED_NEOX.format("attention.query_key_value", "attention"),
        use_parallel_residual=False,
    ),
    "gptj": Facts(
        huggingface("GPTJ", "ForCausalLM", **N_SIZES, rotary_dim=4),
        (IDS,),
        LAYERS_2,
        [(4, 4)] * 2,
        block="transformer.h.0.",
        matrices="query attn.q_proj key attn.k_proj value attn.v_proj out attn.out_proj inner mlp.fc_in out mlp.fc_out",
        total=12,
    ),
    "opt": decoder(
        "OPT",
        "model.decoder.layers.0.",
        "query self_attn.q_proj key self_attn.k_proj value self_attn.v_proj out self_attn.out_proj inner fc1 out fc2",
        ffn_dim=24,
        max_position_embeddings=32,
        word_embed_proj_dim=16,
        positions=["model.decoder.embed_positions.weight"],
    ),
    "bloom": Facts(
        huggingface("Bloom", "ForCausalLM", vocab_size=32, hidden_size=16, n_layer=2, n_head=4),
        (IDS,),
        LAYERS_2,
        [(4, 4)] * 2,
        block="transformer.h.0.",
        matrices=PACKED_NEOX.format("self_attention.query_key_value", "self_attention"),
        total=12,
    ),
    "falcon": decoder(
        "Falcon",
        "transformer.h.0.",
        PACKED_NEOX.format("self_attention.query_key_value", "self_attention"),
        (4, 2),
        num_kv_heads=2,
        new_decoder_architecture=True,
    ),
    "llama": llama("Llama"),
    "qwen2": llama("Qwen2"),
    "qwen3": llama("Qwen3", head_dim=4),
    "gemma": llama("Gemma", (4, 1), head_dim=4),
    "gemma2": llama("Gemma2", head_dim=4),  # a norm before and after each branch
    "olmo2": llama("Olmo2"),  # a norm after each branch
    "granite": llama("Granite", residual_multiplier=0.5),
    "phi3": decoder(
        "Phi3",
        "model.layers.0.",
        "query self_attn.qkv_proj key self_attn.qkv_proj value self_attn.qkv_proj out self_attn.o_proj "
        "gate mlp.gate_up_proj up mlp.gate_up_proj out mlp.down_proj",
        (4, 2),
        num_key_value_heads=2,
        pad_token_id=0,
    ),
    "mamba": Facts(
        huggingface("Mamba", "ForCausalLM", vocab_size=32, hidden_size=16, num_hidden_layers=2),
        (IDS,),
        [0, 1],
        block="backbone.layers.0.mixer.",
        matrices="inner in_proj inner conv1d inner x_proj inner dt_proj out out_proj",
        total=10,
    ),
    "mamba2": Facts(
        huggingface(
            *("Mamba2", "ForCausalLM"),
            **{"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_heads": 4, "head_dim": 8},
            **{"state_size": 8, "n_groups": 1},
        ),
        (IDS,),
        [0, 1],
        block="backbone.layers.1.mixer.",
        matrices="inner in_proj inner conv1d out out_proj",
        total=6,
    ),
    "deepseek_v2": decoder(  # latent attention: queries, and keys with values, come from a few features each
        "DeepseekV2",
        "model.layers.0.",
        "query self_attn.q_b_proj key self_attn.kv_b_proj value self_attn.kv_b_proj inner self_attn.q_a_proj "
        "inner self_attn.kv_a_proj_with_mqa out self_attn.o_proj gate mlp.gate_proj up mlp.up_proj out mlp.down_proj",
        **{"num_key_value_heads": 4, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4},
        **{"qk_nope_head_dim": 4, "v_head_dim": 4, "first_k_dense_replace": 2, "others": 2},
    ),
    "bert": encoder("Bert"),
    "roberta": encoder("Roberta"),
    "distilbert": encoder(
        "DistilBert",
        "transformer.layer.0.",
        "query attention.q_lin key attention.k_lin value attention.v_lin out attention.out_lin "
        "inner ffn.lin1 out ffn.lin2",
        **{"vocab_size": 32, "dim": 16, "n_layers": 2, "n_heads": 4, "hidden_dim": 24},
    ),
    "deberta_v2": encoder(  # two layers of each attention are for relative positions
        "DebertaV2",
        matrices=BERT.format("query_proj", "key_proj", "value_proj").replace(
            "out attention", "inner attention.self.pos_key_proj inner attention.self.pos_query_proj out attention"
        ),
        relative_attention=True,
        pos_att_type=["c2p", "p2c"],
        positions=["embeddings.position_embeddings.weight", "encoder.rel_embeddings.weight"],
    ),
    "albert": Facts(  # both of its layers are the same one
        huggingface("Albert", **SIZES, embedding_size=16),
        (IDS,),
        [0, 0],
        [(4, 4)],
        block="encoder.albert_layer_groups.0.albert_layers.0.",
        matrices="query attention.query key attention.key value attention.value out attention.dense "
        "inner ffn out ffn_output",
        total=6,
        positions=["embeddings.position_embeddings.weight"],
    ),
    "t5-encoder": Facts(
        huggingface("T5", "EncoderModel", **T5),
        (IDS,),
        LAYERS_2,
        [(4, 4)] * 2,
        block="encoder.block.0.",
        matrices="query layer.0.SelfAttention.q key layer.0.SelfAttention.k value layer.0.SelfAttention.v "
        "out layer.0.SelfAttention.o inner layer.1.DenseReluDense.wi out layer.1.DenseReluDense.wo",
        total=12,
        positions=[f"encoder.{T5_BIAS}"],
    ),
    "t5-gated": Facts(  # version 1.1; its gate passes through GPT-2's approximation of GELU, written out
        huggingface("T5", "ForConditionalGeneration", **T5, feed_forward_proj="gated-gelu"),
        (IDS, None, IDS),
        **PAIR,
        heads=[(4, 4)] * 6,
        others=2,
        block="decoder.block.1.",
        matrices="query layer.0.SelfAttention.q key layer.0.SelfAttention.k value layer.0.SelfAttention.v "
        "out layer.0.SelfAttention.o query layer.1.EncDecAttention.q key layer.1.EncDecAttention.k "
        "value layer.1.EncDecAttention.v out layer.1.EncDecAttention.o "
        "gate layer.2.DenseReluDense.wi_0 up layer.2.DenseReluDense.wi_1 out layer.2.DenseReluDense.wo",
        total=2 * 7 + 2 * 11,
        positions=[f"encoder.{T5_BIAS}", f"decoder.{T5_BIAS}"],
    ),
    "bart": Facts(
        huggingface("Bart", **BART),
        (IDS, None, IDS),
        **PAIR,
        heads=[(4, 4)] * 2 + [(2, 2)] * 4,
        others=2,
        block="decoder.layers.1.",
        matrices="query self_attn.q_proj key self_attn.k_proj value self_attn.v_proj out self_attn.out_proj "
        "query encoder_attn.q_proj key encoder_attn.k_proj value encoder_attn.v_proj out encoder_attn.out_proj "
        "inner fc1 out fc2",
        total=2 * 6 + 2 * 10,
        positions=["encoder.embed_positions.weight", "decoder.embed_positions.weight"],
    ),
    "swin-huggingface": Facts(
        huggingface("Swin", image_size=32, patch_size=4, embed_dim=12, depths=[1, 1], num_heads=[2, 4], window_size=4),
        (IMAGES,),
        LAYERS_2,
        [(2, 2), (4, 4)],
        block="encoder.layers.1.blocks.0.",
        matrices="query attention.q_proj key attention.k_proj value attention.v_proj out attention.o_proj "
        "inner mlp.fc1 out mlp.fc2",
        total=12,
        positions=[
            f"encoder.layers.{layer}.blocks.0.attention.relative_position_bias.relative_position_bias_table"
            for layer in range(2)
        ],
    ),
    "siglip": Facts(  # the last attention is that of a learned query, which pools the image; then comes an MLP
        huggingface(
            *("Siglip", "VisionModel"),
            config="SiglipVision",
            **{k: v for k, v in SIZES.items() if k != "vocab_size"},
            image_size=32,
            patch_size=8,
        ),
        (IMAGES,),
        [*LAYERS_2, 2],
        [(4, 4)] * 3,
        others=1,
        block="head.",
        matrices="inner mlp.fc1 out mlp.fc2",
        total=14,
        positions=["embeddings.position_embedding.weight"],
    ),
    "vit-huggingface": Facts(
        huggingface("ViT", **{k: v for k, v in SIZES.items() if k != "vocab_size"}, image_size=32, patch_size=8),
        (IMAGES,),
        LAYERS_2,
        [(4, 4)] * 2,
        block="layers.0.",
        matrices="query attention.q_proj key attention.k_proj value attention.v_proj out attention.o_proj "
        "inner mlp.fc1 out mlp.fc2",
        total=12,
        positions=["embeddings.position_embeddings"],
    ),
}
