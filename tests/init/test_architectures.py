"""Every option on small members of the families of timm and torchvision: it works, or is refused in known words.

The whole matrix is slow. In the fast suite each option meets one architecture, by rotation.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from every_option import NAMES
from torch import nn

from initbench.init import Batch, initializer, rows

timm: Any = pytest.importorskip("timm", reason="needs the extra `timm`")

WIDTHS = (16, 32, 64, 128)
ONE_EACH = (1, 1, 1, 1)  # blocks in each of four stages


def torchvision(name: str, *arguments: Any, **keywords: Any) -> nn.Module:
    from torchvision import models

    built: nn.Module = getattr(models, name)(*arguments, num_classes=10, **keywords)
    return built


def small_vit(name: str) -> nn.Module:
    size = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 32, "num_heads": 2}
    model: nn.Module = timm.create_model(name, num_classes=10, **size)
    return model


def residual(block: str, **keywords: Any) -> nn.Module:
    resnet = timm.models.resnet
    model: nn.Module = resnet.ResNet(getattr(resnet, block), ONE_EACH, channels=WIDTHS, num_classes=10, **keywords)
    return model


def resnetv2() -> nn.Module:
    """Pre-activation, GroupNorm of 32 groups, standardized weights."""
    model: nn.Module = timm.models.resnetv2.ResNetV2(ONE_EACH, channels=(128,) * 4, stem_chs=32, num_classes=10)
    return model


def nfnet() -> nn.Module:
    settings = timm.models.nfnet.NfCfg(depths=ONE_EACH, channels=WIDTHS, stem_chs=16, skipinit=True)
    model: nn.Module = timm.models.nfnet.NormFreeNet(settings, num_classes=10)
    return model


def regnet() -> nn.Module:
    settings = timm.models.regnet.RegNetCfg(depth=6, w0=24, wa=36.44, wm=2.0, group_size=8, se_ratio=0.25)
    model: nn.Module = timm.models.regnet.RegNet(settings, num_classes=10)
    return model


def efficientnet() -> nn.Module:
    from torchvision.models.efficientnet import MBConvConfig

    blocks = [MBConvConfig(1, 3, 1, 16, 16, 1, 1.0, 1.0), MBConvConfig(4, 3, 2, 16, 24, 2, 1.0, 1.0)]
    return torchvision("EfficientNet", blocks, dropout=0.2, last_channel=64)


def coatnet() -> nn.Module:
    kinds = ("C", "C", "T", "T")
    settings = timm.models.maxxvit.MaxxVitCfg(embed_dim=WIDTHS, depths=ONE_EACH, block_type=kinds, stem_width=16)
    model: nn.Module = timm.models.maxxvit.MaxxVit(settings, img_size=32, num_classes=10)
    return model


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    "resnet": lambda: residual("BasicBlock"),
    "resnext": lambda: residual("Bottleneck", cardinality=4, base_width=32),
    "resnetv2": resnetv2,
    "nfnet": nfnet,
    "regnet": regnet,
    "densenet": lambda: torchvision("DenseNet", growth_rate=8, block_config=(2, 2, 2, 2), num_init_features=16),
    "vgg": lambda: timm.models.vgg.VGG([16, "M", 32, "M", 64, "M"], mlp_ratio=0.03, num_classes=10),
    "mobilenetv3": lambda: timm.create_model("mobilenetv3_small_050", num_classes=10),
    "efficientnet": efficientnet,
    "convnext": lambda: timm.models.convnext.ConvNeXt(depths=ONE_EACH, dims=WIDTHS, num_classes=10),
    "vit": lambda: small_vit("vit_tiny_patch16_224"),
    "deit3": lambda: small_vit("deit3_small_patch16_224"),
    "swin": lambda: torchvision(
        "SwinTransformer", patch_size=[4, 4], embed_dim=24, depths=[1, 1], num_heads=[1, 2], window_size=[2, 2]
    ),
    "mixer": lambda: timm.models.mlp_mixer.MlpMixer(
        img_size=32, patch_size=8, num_blocks=2, embed_dim=32, num_classes=10
    ),
    "poolformer": lambda: timm.models.metaformer.MetaFormer(depths=ONE_EACH, dims=WIDTHS, num_classes=10),
    "levit": lambda: timm.models.levit.Levit(
        img_size=64, embed_dim=(32, 48, 64), key_dim=16, depth=(1, 1, 1), num_heads=(2, 3, 4), num_classes=10
    ),
    "xcit": lambda: timm.models.xcit.Xcit(
        img_size=32, patch_size=8, embed_dim=32, depth=2, num_heads=2, eta=1.0, num_classes=10
    ),
    "maxvit": lambda: torchvision(
        "MaxVit",
        input_size=(64, 64),
        stem_channels=16,
        partition_size=2,
        block_channels=[16, 32],
        block_layers=[1, 1],
        head_dim=8,
        stochastic_depth_prob=0.0,
    ),
    "coatnet": coatnet,
    "squeezenet": lambda: torchvision("squeezenet1_1"),
    "shufflenet": lambda: torchvision("shufflenet_v2_x0_5"),
    "googlenet": lambda: torchvision("googlenet", aux_logits=False, init_weights=False),
    "mnasnet": lambda: torchvision("MNASNet", 0.25),
    "cait": lambda: small_vit("cait_xxs24_224"),
}
IMAGE_SIZES = {"levit": 64, "maxvit": 64, "resnetv2": 64}  # all others: 32
EVERYWHERE = " ".join(ARCHITECTURES)


def all_but(names: str) -> str:
    return " ".join(name for name in ARCHITECTURES if name not in names.split())


GATED = "nfnet convnext deit3 xcit cait"
# What each option says where it cannot be, and where that is. Whatever is not listed must work.
NO_TRANSFORMER = "needs self-attention layers|needs residual branches"
REFUSED: dict[str, tuple[str, str]] = {
    **dict.fromkeys(["admin", "admin_torch"], ("needs residual b(ranches|locks with a skip_scale)", EVERYWHERE)),
    **dict.fromkeys(
        ["transformer", "gpt2", "small_init", "wang", "megatron"],
        (NO_TRANSFORMER, all_but("vit deit3 swin levit xcit maxvit coatnet cait")),
    ),
    **dict.fromkeys(
        ["llama_depth", "llama_depth_fixed", "mitchell", "nanochat"],
        (f"{NO_TRANSFORMER}|embedding_std is for token embeddings", EVERYWHERE),
    ),
    "chrono": ("needs recurrent layers", EVERYWHERE),
    # SqueezeNet ends with a ReLU, MaxViT with a layer without a bias.
    "class_prior": ("needs a bias that is added to the outputs|last layer, .*, has none", "squeezenet maxvit"),
    "complete_p": (
        "needs residual branches|has no constant for it|is in none of them",
        all_but("vit deit3 mixer cait"),
    ),
    "deepnorm": ("needs self-attention layers|needs residual branches|has no skip_scale|rule for encoders", EVERYWHERE),
    "delta_orthogonal": ("needs at least as many outputs as inputs", "resnet densenet"),
    "efficientnet": ("efficientnet needs layers with a weight of type Linear", "resnetv2 squeezenet"),
    "fixup": (
        "needs residual branches|takes the place of norms|standardizes its weight",
        all_but("convnext vit deit3 swin mixer poolformer xcit maxvit coatnet cait"),
    ),
    "irnn": ("irnn needs recurrent layers of type RNN", EVERYWHERE),
    # In CaiT and XCiT the class token, the same in every image, is the first query.
    "kraehenbuehl": ("is dead|does not become 1 by scaling its weight", "resnetv2 nfnet xcit cait"),
    "looks_linear": (
        "has skip connections|has no mirrored form|at least as many outputs",
        all_but("vgg squeezenet googlenet"),
    ),
    "lstm": ("lstm needs recurrent layers of type LSTM", EVERYWHERE),
    "lsuv": ("does not become 1 by scaling its weight", "nfnet"),
    "mean_field": (
        "(silu|hardswish|gelu) has no critical point",
        "nfnet mobilenetv3 efficientnet convnext vit deit3 swin mixer levit xcit maxvit coatnet cait",
    ),
    "mimetic": ("needs self-attention layers", all_but("vit deit3 swin xcit maxvit cait")),
    "orthogonal_conv": ("needs at least as many outputs as inputs", "resnet densenet"),
    "rezero": ("needs gates", all_but(GATED)),
    "sinusoidal": ("sinusoidal needs more than two outputs or inputs", "cait"),
    "skipinit": ("needs gates", all_but(GATED)),
    "sub_ln": (f"{NO_TRANSFORMER}|rule for encoders", all_but("vit deit3 swin xcit maxvit coatnet")),
    "t_fixup": (
        "needs self-attention layers|needs residual branches|rule for encoders",
        all_but("vit deit3 swin levit xcit maxvit coatnet"),
    ),
    "tanh_fixed_point": ("is defined on matrices", EVERYWHERE),
    "weight_norm_data": ("is dead|does not become 1 by scaling its weight", "resnetv2 nfnet xcit cait"),
    "zero_gamma": (
        "needs residual branches|is not ended by one",
        all_but("resnet resnext regnet mobilenetv3 efficientnet mnasnet levit"),
    ),
}
FEW_STEPS = {"gradinit": {"steps": 2}, "metainit": {"steps": 2}, "kraehenbuehl": {"iterations": 1}}


def matrix() -> list[Any]:
    """All pairs; those that the rotation does not choose are slow."""
    pairs = []
    for index, name in enumerate(NAMES):
        for place, architecture in enumerate(ARCHITECTURES):
            chosen = (place - 5 * index) % len(ARCHITECTURES) == 0
            pairs.append(pytest.param(name, architecture, marks=[] if chosen else [pytest.mark.slow]))
    return pairs


@pytest.mark.filterwarnings("ignore:no activation module")  # googlenet calls F.relu
@pytest.mark.parametrize("name, architecture", matrix())
def test_an_option_on_an_architecture(name: str, architecture: str) -> None:
    """Every parameter is accounted for once, and the model computes something finite in training mode.

    That holds for ones and zeros too: at this depth nothing overflows fp32, with norms or without.
    """
    torch.manual_seed(0)
    model = ARCHITECTURES[architecture]()
    size = IMAGE_SIZES.get(architecture, 32)
    batch = Batch(torch.randn(8, 3, size, size), torch.arange(8))
    chosen = initializer(name, **FEW_STEPS.get(name, {}))
    words, refused = REFUSED.get(name, ("", ""))
    if architecture in refused.split():
        with pytest.raises(ValueError, match=words):
            chosen.apply(model, seed=0, batch=batch)
        return
    outcome = chosen.apply(model, seed=0, batch=batch)
    listed = [row["parameter"] for row in rows(outcome)]
    assert listed == [parameter for parameter, _ in model.named_parameters()]
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    with torch.no_grad():
        assert model.train()(batch.inputs).isfinite().all()


def test_the_table_of_refusals_names_what_there_is() -> None:
    assert set(REFUSED) <= set(NAMES)
    assert {name for _, refused in REFUSED.values() for name in refused.split()} <= set(ARCHITECTURES)


def test_kraehenbuehl_stops_where_equal_rates_do_not_exist() -> None:
    """MaxViT's squeeze and excitation: ever larger and smaller scales, until a gradient is lost in fp32."""
    torch.manual_seed(0)
    model = ARCHITECTURES["maxvit"]()
    batch = Batch(torch.randn(8, 3, 64, 64))
    numbers = initializer("kraehenbuehl", iterations=30).apply(model, seed=0, batch=batch).numbers
    assert 4 < numbers["steps"] < 62
    with torch.no_grad():
        assert model(batch.inputs).isfinite().all()
