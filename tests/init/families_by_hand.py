"""The parts of families of models, counted by hand in their papers and in the code of their classes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import timm
import torch
import torchvision
import transformers
from torch import Tensor, nn

from initbench.model import ViT
from initbench.model.gpt import GPT

IDS = torch.arange(16).view(2, 8)
IMAGES = torch.linspace(-1, 1, 2 * 3 * 32 * 32).view(2, 3, 32, 32)
LAYERS_2 = [0, 0, 1, 1]  # one attention and one MLP in each of two layers


@dataclass
class Facts:
    """The parts of a model; `inputs` are left empty for those that are not run."""

    make: Callable[[], nn.Module]
    inputs: tuple[Tensor | None, ...]
    depths: list[int]  # of the branches, in execution order: as many as there are branches
    heads: list[tuple[int, int]] = field(default_factory=list)  # of each attention: of queries, of keys and values
    others: int = 0  # attentions that do not make queries, keys and values of the same features
    block: str = ""
    matrices: str = ""  # of the branches of this block: purpose and layer in turn
    total: int = 0  # the number of matrices of all branches
    positions: list[str] = field(default_factory=list)
    streams: list[int] = field(default_factory=list)  # of the branches, if they do not all add to the same features
    gates: int = 0


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
# A decoder layer attends to itself and to the encoder, and has an MLP.
PAIR = {"depths": [*LAYERS_2, 0, 0, 0, 1, 1, 1], "streams": [0] * 4 + [1] * 6}

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


def timm_(name: str, *, on_meta: bool = False, **kwargs: Any) -> Callable[[], nn.Module]:
    """A model of timm; on the meta device, without values, for the larger ones."""

    def make() -> nn.Module:
        with torch.device("meta" if on_meta else "cpu"):
            model: nn.Module = timm.create_model(name, **kwargs).eval()
        return model

    return make


TIMM_BLOCK = "query attn.qkv key attn.qkv value attn.qkv out attn.proj inner mlp.fc1 out mlp.fc2"
VIT = {"img_size": 32, "depth": 2, "embed_dim": 24, "patch_size": 8}
SWIN = {"img_size": 32, "window_size": 4, "embed_dim": 12, "depths": (1, 1, 2), "num_heads": (1, 2, 4)}
SWIN_BLOCKS = [(0, 0), (1, 0), (2, 0), (2, 1)]  # (stage, block in it)
# A MaxViT block is a convolution, an attention within windows and an attention across them, each with an MLP.
MAXVIT_BLOCK = [0, 1, 1, 2, 2]

VISION = {
    "vit": Facts(
        timm_("vit_tiny_patch16_224", **VIT),
        (IMAGES,),
        LAYERS_2,
        [(3, 3)] * 2,
        block="blocks.0.",
        matrices=TIMM_BLOCK,
        total=12,
        positions=["pos_embed"],
    ),
    "deit3": Facts(
        timm_("deit3_small_patch16_224", **VIT),
        (IMAGES,),
        LAYERS_2,
        [(6, 6)] * 2,
        block="blocks.0.",
        matrices=TIMM_BLOCK,
        total=12,
        positions=["pos_embed"],
        gates=4,
    ),
    "eva02": Facts(  # gate and up are halves of fc1
        timm_("eva02_tiny_patch14_224", img_size=28, depth=2, embed_dim=24),
        (IMAGES[..., :28, :28],),
        LAYERS_2,
        [(3, 3)] * 2,
        block="blocks.1.",
        matrices=TIMM_BLOCK.replace("inner mlp.fc1", "gate mlp.fc1 up mlp.fc1"),
        total=14,
        positions=["pos_embed"],
    ),
    "swin": Facts(
        timm_("swin_tiny_patch4_window7_224", **SWIN),
        (IMAGES,),
        [0, 0, 1, 1, 2, 2, 3, 3],
        [(1, 1), (2, 2), (4, 4), (4, 4)],
        block="layers.2.blocks.1.",
        matrices=TIMM_BLOCK,
        total=24,
        positions=[f"layers.{s}.blocks.{b}.attn.relative_position_bias_table" for s, b in SWIN_BLOCKS],
    ),
    "swinv2": Facts(  # a small network computes its position biases
        timm_("swinv2_tiny_window8_256", **SWIN),
        (IMAGES,),
        [0, 0, 1, 1, 2, 2, 3, 3],
        [(1, 1), (2, 2), (4, 4), (4, 4)],
        block="layers.2.blocks.1.",
        matrices=TIMM_BLOCK.replace("out attn", "inner attn.cpb_mlp.0 inner attn.cpb_mlp.2 out attn"),
        total=4 * 8,
    ),
    "convnext": Facts(
        timm_("convnext_atto", depths=(1, 1, 2, 1), dims=(8, 12, 16, 20)),
        (IMAGES,),
        [0, 1, 2, 3, 4],
        block="stages.2.blocks.1.",
        matrices="inner conv_dw inner mlp.fc1 out mlp.fc2",
        total=15,
        gates=5,
    ),
    "mixer": Facts(
        timm_("mixer_s32_224", on_meta=True, img_size=32),
        (),
        [layer for layer in range(8) for _ in range(2)],
        block="blocks.7.",
        matrices="inner mlp_tokens.fc1 out mlp_tokens.fc2 inner mlp_channels.fc1 out mlp_channels.fc2",
        total=32,
    ),
    "cait": Facts(  # two layers of patches, then two of the class token, which looks at the patches
        timm_("cait_xxs24_224", img_size=32, depth=2, embed_dim=16, patch_size=8, num_heads=4),
        (IMAGES,),
        LAYERS_2 * 2,
        [(4, 4)] * 4,
        others=2,
        block="blocks_token_only.0.",
        matrices="query attn.q key attn.k value attn.v out attn.proj inner mlp.fc1 out mlp.fc2",
        # Those of patches also mix their heads before and after the softmax: two matrices more.
        total=2 * 8 + 2 * 6,
        positions=["pos_embed"],
        streams=[0] * 4 + [1] * 4,
        gates=8,
    ),
    "xcit": Facts(  # its last two blocks have attentions, but normalize what they add to: no branches
        timm_("xcit_nano_12_p16_224", img_size=32, depth=2, embed_dim=16, num_heads=4),
        (IMAGES,),
        [0, 0, 0, 1, 1, 1],
        [(4, 4)] * 4,
        others=2,
        block="blocks.1.",
        matrices="query attn.qkv key attn.qkv value attn.qkv out attn.proj inner local_mp.conv1 out local_mp.conv2 "
        "inner mlp.fc1 out mlp.fc2",
        total=16,
        gates=6,
    ),
    "tiny_vit": Facts(  # two convolutions, then blocks with a convolution of their own outside of all sums
        timm_("tiny_vit_5m_224", on_meta=True),
        (),
        [0, 1, *(layer for layer in range(2, 12) for _ in range(2))],
        [(4, 4)] * 2 + [(5, 5)] * 6 + [(10, 10)] * 2,
        block="stages.3.blocks.1.",
        matrices=TIMM_BLOCK,
        total=2 * 3 + 10 * 6,
    ),
    "levit": Facts(  # attentions that make the image smaller add to nothing, and the MLPs after them do
        timm_("levit_128s", img_size=64, embed_dim=(16, 24, 32), key_dim=4, depth=(1, 2, 1), num_heads=(2, 3, 4)),
        (),
        [0, 0, 1, 2, 2, 3, 3, 4, 5, 5],
        [(2, 2), (4, 4), (3, 3), (3, 3), (6, 6), (4, 4)],  # the smaller ones have as many as width / key_dim
        others=2,
        block="stages.1.blocks.1.",
        matrices="query attn.qkv.linear key attn.qkv.linear value attn.qkv.linear out attn.proj.ln.linear "
        "inner mlp.ln1.linear out mlp.ln2.linear",
        total=4 * 6 + 2 * 2,
    ),
    "pvt_v2": Facts(  # keys and values come from a smaller image, but in the last stage
        timm_("pvt_v2_b0", embed_dims=(8, 16, 20, 32), depths=(1, 1, 2, 1)),
        (IMAGES.repeat(1, 1, 2, 2),),
        [0, 0, 1, 1, 2, 2, 3, 3, 4, 4],
        [(1, 1), (2, 2), (5, 5), (5, 5), (8, 8)],
        others=4,
        block="stages.3.blocks.0.",
        matrices="query attn.q key attn.kv value attn.kv out attn.proj inner mlp.fc1 inner mlp.dwconv out mlp.fc2",
        total=5 * 7 + 4,
    ),
    "coatnet": Facts(  # where a stage begins, heads are as many as the stage before has
        timm_("coatnet_pico_rw_224", on_meta=True, depths=(1, 2, 2, 1)),
        (),
        [0, 1, 2, 3, 3, 4, 4, 5, 5],
        [(4, 4), (8, 8), (8, 8)],
        block="stages.2.blocks.1.",
        matrices=TIMM_BLOCK,
        total=3 * 3 + 3 * 6,
        positions=[
            f"stages.{s}.blocks.{b}.attn.rel_pos.relative_position_bias_table" for s, b in [(2, 0), (2, 1), (3, 0)]
        ],
    ),
    "maxvit": Facts(  # this one computes its position biases too
        timm_("maxvit_rmlp_pico_rw_256", on_meta=True, depths=(1, 1, 1, 1)),
        (),
        [3 * block + layer for block in range(4) for layer in MAXVIT_BLOCK],
        [(heads, heads) for heads in (1, 1, 2, 2, 4, 4, 8, 8)],
        block="stages.3.blocks.0.attn_grid.",
        matrices=TIMM_BLOCK.replace("out attn", "inner attn.rel_pos.mlp.fc1 inner attn.rel_pos.mlp.fc2 out attn"),
        total=4 * (3 + 2 * 8),
    ),
    "torchvision-vit": Facts(
        lambda: torchvision.models.VisionTransformer(32, 8, 2, 2, 16, 24).eval(),
        (IMAGES,),
        LAYERS_2,
        [(2, 2)] * 2,
        block="encoder.layers.encoder_layer_0.",
        matrices="query self_attention.in_proj key self_attention.in_proj value self_attention.in_proj "
        "out self_attention.out_proj inner mlp.0 out mlp.3",
        total=12,
        positions=["encoder.pos_embedding"],
    ),
    "torchvision-swin": Facts(
        lambda: torchvision.models.SwinTransformer([4, 4], 16, [1, 2], [2, 4], [4, 4], num_classes=3).eval(),
        (IMAGES,),
        [0, 0, 1, 1, 2, 2],
        [(2, 2), (4, 4), (4, 4)],
        block="features.3.1.",
        matrices=TIMM_BLOCK.replace("fc1", "0").replace("fc2", "3"),
        total=18,
        positions=[f"features.{block}.attn.relative_position_bias_table" for block in ("1.0", "3.0", "3.1")],
    ),
    "torchvision-maxvit": Facts(
        lambda: torchvision.models.MaxVit((64, 64), 16, 2, [16, 32], [1, 2], 8, 0.0, num_classes=3).eval(),
        (),
        [3 * block + layer for block in range(3) for layer in MAXVIT_BLOCK],
        [(2, 2)] * 2 + [(4, 4)] * 4,
        block="blocks.1.layers.1.layers.grid_attention.",
        matrices="query attn_layer.1.to_qkv key attn_layer.1.to_qkv value attn_layer.1.to_qkv "
        "out attn_layer.1.merge inner mlp_layer.1 out mlp_layer.3",
        total=3 * (3 + 2 * 6),
        positions=[
            f"blocks.{block}.layers.{kind}_attention.attn_layer.1.relative_position_bias_table"
            for block in ("0.layers.0", "1.layers.0", "1.layers.1")
            for kind in ("window", "grid")
        ],
    ),
    "torchvision-convnext": Facts(
        lambda: torchvision.models.ConvNeXt(
            [
                torchvision.models.convnext.CNBlockConfig(8, 12, 2),
                torchvision.models.convnext.CNBlockConfig(12, None, 1),
            ]
        ).eval(),
        (IMAGES,),
        [0, 1, 2],
        block="features.1.1.block.",
        matrices="inner 0 inner 3 out 5",
        total=9,
        gates=3,
    ),
    "our ViT": Facts(
        lambda: ViT(in_channels=3, image_size=32, num_classes=5, patch_size=8, width=16, depth=2, num_heads=2).eval(),
        (IMAGES,),
        LAYERS_2,
        [(2, 2)] * 2,
        block="blocks.0.",
        matrices="query attention.branch.attention.qkv key attention.branch.attention.qkv "
        "value attention.branch.attention.qkv out attention.branch.attention.proj "
        "inner mlp.branch.linear1 out mlp.branch.linear2",
        total=12,
        positions=["patches.position_embedding"],
    ),
}

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
