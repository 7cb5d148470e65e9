"""Models of timm and torchvision, counted by hand in their papers and in the code of their classes."""

from collections.abc import Callable
from typing import Any

import timm
import torch
import torchvision
from facts import IMAGES, LAYERS_2, Facts
from torch import nn

from initbench.model import ViT


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
