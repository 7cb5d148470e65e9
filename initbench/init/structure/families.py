"""The names that torch, torchvision and timm give to the parts of their residual blocks.

They are used for models that cannot be run. For other models, the trace of a run tells the branches.
"""

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn


class Family(NamedTuple):
    """Blocks with the attributes `has`, and the parts of each of their branches in execution order.

    `*` stands for all children in registration order. Parts that a block lacks, or that are None, are skipped. Gates
    and scales of the skip connection are listed among the parts and recognized by their names. The first family that
    matches a block is used.
    """

    has: str
    branches: tuple[str, ...]
    when: str = ""  # an attribute that is None or False if the block has no skip connection
    named: str = ""  # the names of the classes, if attributes alone are ambiguous

    def fits(self, block: nn.Module) -> bool:
        """Whether a module is a block of this family that has a skip connection."""
        if self.named and type(block).__name__ not in self.named.split():
            return False
        if self.when and getattr(block, self.when, None) in (None, False):
            return False
        return all(isinstance(getattr(block, key, None), nn.Module) for key in self.has.split())

    def parts(self, block: nn.Module) -> Iterator[list[str]]:
        """The names of the parts of each branch of a block that fits."""
        for branch in self.branches:
            yield [key for key, _ in block.named_children() if key != self.when] if branch == "*" else branch.split()


GATES = ("gate", "ls", "gamma", "layer_scale", "skipinit_gain")  # prefixes of their names
SKIP_SCALES = ("skip_scale", "res_scale")

# The linear layers of an attention: query, key, value and output; or one layer for the first three, and output.
ATTENTIONS = (
    "qkv proj",  # timm; the protocol for your own models, as is the next one
    "query key value proj",
    "q_proj k_proj v_proj o_proj",  # Llama and most models of transformers
    "q_proj k_proj v_proj out_proj",
    "wq wk wv wo",
)
HEADS = ("num_heads", "num_attention_heads", "n_heads", "n_head")  # the attribute with the number of heads

# Modules that compute a factor for their own input; they are not layers of the branch.
SIDE_PATHS = (
    "SqueezeExcit",  # SqueezeExcitation of torchvision, SqueezeExcite of timm
    "SEModule",
    "EffectiveSEModule",
    "EcaModule",
    "CecaModule",
    "CbamModule",
    "LightCbamModule",
    "GatherExcite",
    "GlobalContext",
)

_NORM_LAST = (
    "ResPostBlock ResPostRelPosBlock EvaBlockPostNorm "
    "SwinTransformerBlockV2 SwinTransformerV2Block SwinTransformerV2CrBlock"
)
_FIRST, _SECOND = "ls1 gamma_1 gamma1 layer_scale1 res_scale1", "ls2 gamma_2 gamma2 layer_scale2 res_scale2"
_EFFICIENT = "ConvBnAct DepthwiseSeparableConv InvertedResidual EdgeResidual UniversalInvertedResidual"

FAMILIES = (
    # The protocol for your own models.
    Family("branch", ("branch gate skip_scale",)),
    # torch: without norm_first, the norms follow the sum and so are outside the branch.
    Family(
        "self_attn multihead_attn linear1 linear2",
        ("norm1 self_attn", "norm2 multihead_attn", "norm3 linear1 linear2"),
        when="norm_first",
    ),
    Family("self_attn multihead_attn linear1 linear2", ("self_attn", "multihead_attn", "linear1 linear2")),
    Family("self_attn linear1 linear2", ("norm1 self_attn", "norm2 linear1 linear2"), when="norm_first"),
    Family("self_attn linear1 linear2", ("self_attn", "linear1 linear2")),
    # torchvision
    Family("block", ("block",), when="use_res_connect"),  # MobileNetV3, EfficientNet
    Family("conv", ("conv",), when="use_res_connect"),  # MobileNetV2
    Family("layers", ("layers",), when="apply_residual"),  # MNASNet
    Family("block", ("block layer_scale",), named="CNBlock"),  # ConvNeXt
    Family("f", ("f",), named="ResBottleneckBlock"),  # RegNet
    Family("ln_1 self_attention ln_2 mlp", ("ln_1 self_attention", "ln_2 mlp")),  # ViT
    Family("layers proj", ("layers",), named="MBConv"),  # MaxViT
    Family("attn_layer mlp_layer", ("attn_layer", "mlp_layer")),  # MaxViT
    # ResNets of torchvision and timm, RegNet and NFNet of timm
    Family("conv1 bn1 conv2 bn2 conv3 bn3", ("conv1 bn1 conv2 bn2 conv3 bn3",), named="Bottleneck"),
    Family("conv1 bn1 conv2 bn2", ("conv1 bn1 conv2 bn2",), named="BasicBlock"),
    Family("conv1 conv2 conv3", ("conv1 conv2 conv3",), named="Bottleneck", when="downsample"),
    Family("norm1 conv1", ("norm1 conv1 norm2 conv2 norm3 conv3",), named="PreActBasic PreActBottleneck"),
    Family("norm1 conv1", ("conv1 norm1 conv2 norm2 conv3 norm3",), named="Bottleneck"),
    Family("conv1 conv2 conv3", ("conv1 conv2 conv2b conv3 skipinit_gain",), named="NormFreeBlock"),
    # timm: convolutions
    Family("", ("*",), when="has_skip", named=_EFFICIENT),
    Family("conv_dw norm mlp", ("conv_dw norm mlp ls gamma",)),  # ConvNeXt, EdgeNeXt
    Family("token_mixer norm mlp", ("token_mixer norm mlp gamma",), named="MetaNeXtBlock"),
    Family("pre_norm conv1_1x1", ("pre_norm conv1_1x1 norm1 conv2_kxk norm2 conv3_1x1",), named="MbConvBlock"),
    Family(
        "", ("*",), when="shortcut", named="BasicBlock BottleneckBlock DarkBlock EdgeBlock SelfAttnBlock"
    ),  # byobnet
    Family("fn", ("fn",), named="Residual"),  # ConvMixer
    # timm: transformers and similar models
    Family("norm1 attn norm2 mlp", (f"attn norm1 {_FIRST}", f"mlp norm2 {_SECOND}"), named=_NORM_LAST),
    Family("norm1 attn", (), named="ClassAttentionBlock"),  # of XCiT, which also normalizes the skip connection
    Family("norm1 attn norm3 local_mp norm2 mlp", ("norm1 attn gamma1", "norm3 local_mp gamma3", "norm2 mlp gamma2")),
    Family("norm1 attn norm2 mlp", (f"norm1 attn {_FIRST}", f"norm2 mlp {_SECOND}")),
    Family("norm1 token_mixer norm2 mlp", (f"norm1 token_mixer {_FIRST}", f"norm2 mlp {_SECOND}")),
    Family("norm1 mlp_tokens norm2 mlp_channels", ("norm1 mlp_tokens", "norm2 mlp_channels")),
    Family("norm1 linear_tokens norm2 mlp_channels", ("norm1 linear_tokens ls1", "norm2 mlp_channels ls2")),
    Family("norm mlp_channels", ("norm mlp_channels",)),
)
