"""Models as their libraries ship them have no error: what an audit calls one would be its own."""

from collections.abc import Callable

import pytest
from torch import nn

from initbench.auditing.audit import CHECKS
from initbench.auditing.subject import Subject

TORCHVISION = """
    alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_x_400mf
    regnet_y_400mf resnet18 resnet50 resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_0 squeezenet1_1 swin_t swin_v2_t
    vit_b_32
""".split()
TIMM = """
    bat_resnext26ts beit_base_patch16_224 botnet26t_256 caformer_s18 cait_xxs24_224 coat_tiny coatnet_nano_rw_224
    convit_tiny convmixer_768_32 convnext_atto convnextv2_atto crossvit_tiny_240 cs3darknet_s cspresnet50 davit_tiny
    deit_tiny_patch16_224 deit3_small_patch16_224 densenet121 dla34 dpn48b eca_resnet33ts edgenext_xx_small efficientformer_l1
    efficientformerv2_s0 efficientnet_b0 efficientvit_b0 eva02_tiny_patch14_224 fastvit_t8 focalnet_tiny_srf fbnetc_100
    gcvit_xxtiny gernet_s ghostnet_100 gmixer_12_224 gmlp_ti16_224 halonet26t hardcorenas_a hgnet_tiny hiera_tiny_224
    hrnet_w18_small inception_next_tiny inception_v4 lambda_resnet26t lcnet_050 levit_128s mambaout_femto maxvit_rmlp_pico_rw_256
    maxxvit_rmlp_nano_rw_256 mixer_s32_224 mixnet_s mnasnet_small mobilenetv2_050 mobilenetv3_small_050 mobilenetv4_conv_small
    mobileone_s0 mobilevit_xxs mobilevitv2_050 mvitv2_tiny nest_tiny nf_resnet50 nfnet_l0 pit_ti_224 poolformer_s12
    pvt_v2_b0 regnetx_002 regnety_002 repghostnet_050 repvgg_a0 repvit_m1 res2net50_26w_4s resmlp_12_224 resnest14d
    resnet18 resnetv2_50 resnext26ts rexnet_100 sebotnet33ts_256 selecsls42 semnasnet_075 sequencer2d_s seresnet18
    skresnet18 starnet_s1 swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 tinynet_e tiny_vit_5m_224 tnt_s_patch16_224
    tresnet_m twins_pcpvt_small vit_tiny_patch16_224 vitamin_small_224 vit_relpos_small_patch16_224 volo_d1_224
    vovnet39a xception41 xcit_nano_12_p16_224 xcit_tiny_12_p16_224
""".split()
TRANSFORMERS = ("BertModel", "GPT2LMHeadModel", "LlamaForCausalLM", "ViTModel")
SMALL = {"vocab_size": 100, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 128}


def errors(make: Callable[[], nn.Module]) -> list[str]:
    subject = Subject(make)
    found = [finding for check in CHECKS for finding in check(subject)]
    assert subject.only_once == ""
    return [f"{each.parameter}: {each.check}: {each.reason}" for each in found if each.severity == "error"]


def test_there_are_a_hundred() -> None:
    assert len({*TORCHVISION, *TIMM}) >= 100


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str) -> None:
    transformers = pytest.importorskip("transformers")
    kind = getattr(transformers, name)
    config = kind.config_class(**SMALL)
    assert errors(lambda: kind(config)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    from torchvision import models

    assert errors(lambda: models.get_model(name)) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    timm = pytest.importorskip("timm")
    assert errors(lambda: timm.create_model(name)) == []
