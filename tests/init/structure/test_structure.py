"""The parts of real architectures, told by what they do: a branch is what can be cut off to leave the skip."""

from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import nn

import initbench
from initbench.init.structure.parts import (
    Branch,
    find_attentions,
    find_branches,
    find_gates,
    find_recurrents,
    listed_branches,
)
from initbench.model import CifarResNet

CIFAR = {"in_channels": 3, "image_size": 32, "num_classes": 10}
SLOW = pytest.mark.slow


def timm_(name: str, size: int = 64, **kwargs: Any) -> Any:
    return lambda: (timm.create_model(name, **kwargs), torch.randn(2, 3, size, size))


def torchvision_(name: str, size: int = 64, **kwargs: Any) -> Any:
    return lambda: (torchvision.models.get_model(name, **kwargs), torch.randn(2, 3, size, size))


def encoder(norm_first: bool) -> Any:
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, batch_first=True, norm_first=norm_first)
    return lambda: (nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), torch.randn(2, 5, 8))


def cifar(norm: str, gate: bool) -> Any:
    return lambda: (CifarResNet(depth=14, width=4, norm=norm, gate=gate, **CIFAR), torch.randn(2, 3, 32, 32))


VIT = {"img_size": 32, "depth": 2}

# How many branches and gates there are, counted in the papers and definitions.
ARCHITECTURES = [
    pytest.param(cifar("batch", False), 6, 0, id="cifar-batch"),
    pytest.param(cifar("fixup", False), 6, 6, id="cifar-fixup"),
    pytest.param(encoder(True), 4, 0, id="encoder-pre-norm"),
    pytest.param(torchvision_("resnet18"), 8, 0, id="tv-resnet18"),
    pytest.param(torchvision_("resnet50"), 16, 0, id="tv-resnet50", marks=SLOW),
    pytest.param(torchvision_("mobilenet_v2"), 10, 0, id="tv-mobilenet_v2"),
    pytest.param(torchvision_("mobilenet_v3_small"), 6, 0, id="tv-mobilenet_v3"),
    pytest.param(torchvision_("efficientnet_b0"), 9, 0, id="tv-efficientnet", marks=SLOW),
    pytest.param(torchvision_("mnasnet0_5"), 10, 0, id="tv-mnasnet", marks=SLOW),
    pytest.param(torchvision_("regnet_y_400mf"), 16, 0, id="tv-regnet", marks=SLOW),
    pytest.param(torchvision_("convnext_tiny"), 18, 18, id="tv-convnext", marks=SLOW),
    pytest.param(torchvision_("vit_b_32", image_size=64), 24, 0, id="tv-vit", marks=SLOW),
    pytest.param(torchvision_("swin_t"), 24, 0, id="tv-swin", marks=SLOW),
    pytest.param(torchvision_("swin_v2_t"), 24, 0, id="tv-swin_v2", marks=SLOW),
    pytest.param(timm_("resnet14t"), 4, 0, id="resnet14t"),
    pytest.param(timm_("ecaresnet26t"), 8, 0, id="ecaresnet", marks=SLOW),
    pytest.param(timm_("seresnet18"), 8, 0, id="seresnet", marks=SLOW),
    pytest.param(timm_("resnetv2_18"), 8, 0, id="resnetv2"),
    pytest.param(timm_("nf_resnet26"), 8, 0, id="nf_resnet", marks=SLOW),
    pytest.param(timm_("dm_nfnet_f0"), 12, 12, id="nfnet", marks=SLOW),
    pytest.param(timm_("regnety_002"), 13, 0, id="regnety"),
    pytest.param(timm_("regnetz_b16"), 18, 0, id="regnetz", marks=SLOW),  # of 24 blocks: no skip where sizes change
    pytest.param(timm_("mobilenetv3_small_050"), 7, 0, id="mobilenetv3"),
    pytest.param(timm_("tf_efficientnetv2_b0"), 15, 0, id="efficientnetv2", marks=SLOW),
    pytest.param(timm_("gernet_s"), 14, 0, id="byobnet", marks=SLOW),
    pytest.param(timm_("convnext_atto", depths=(1, 1, 2, 1)), 5, 5, id="convnext"),
    pytest.param(timm_("convmixer_768_32"), 32, 0, id="convmixer", marks=SLOW),
    pytest.param(timm_("vit_tiny_patch16_224", 32, **VIT), 4, 0, id="vit"),
    pytest.param(timm_("deit3_small_patch16_224", 32, **VIT), 4, 4, id="deit3"),
    pytest.param(timm_("vit_srelpos_small_patch16_224", 32, **VIT), 4, 4, id="vit-relpos"),
    pytest.param(timm_("beit_base_patch16_224", 32, img_size=32), 24, 24, id="beit", marks=SLOW),
    pytest.param(timm_("eva02_tiny_patch14_224", 28, img_size=28), 24, 0, id="eva"),
    pytest.param(timm_("swin_tiny_patch4_window7_224", 224), 24, 0, id="swin", marks=SLOW),
    pytest.param(timm_("swinv2_tiny_window8_256", 256), 24, 0, id="swinv2", marks=SLOW),
    pytest.param(timm_("mixer_s32_224", 32, img_size=32), 16, 0, id="mixer"),
    pytest.param(timm_("resmlp_12_224", 32, img_size=32), 24, 24, id="resmlp"),
    pytest.param(timm_("gmlp_ti16_224", 32, img_size=32), 30, 0, id="gmlp"),
    pytest.param(timm_("convformer_s18"), 36, 0, id="metaformer", marks=SLOW),
]


def _skip(block: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the definition of the block adds its branch to."""
    shortcut = next((s for k in ("downsample", "proj", "shortcut") if (s := getattr(block, k, None)) is not None), None)
    if shortcut is None:
        return x
    if type(block).__name__ == "NormFreeBlock":
        return shortcut(block.act1(x) * block.beta)
    return shortcut(block.norm1(x)) if type(block).__name__.startswith("PreAct") else shortcut(x)


def _is_skip(block: nn.Module, x: torch.Tensor, out: torch.Tensor) -> bool:
    skip = _skip(block, x)
    return any(torch.allclose(after(skip), out, atol=1e-5) for after in (lambda x: x, torch.relu))


def _cut(branch: Branch) -> None:
    """Zero the last weighted layer, its bias, and what the norm after it would add."""
    _, last = branch.weighted[-1]
    for parameter in getattr(last, "out_proj", last).parameters():
        parameter.zero_()
    if branch.last_norm is not None:
        for tensor in (getattr(branch.last_norm[1], key, None) for key in ("bias", "running_mean")):
            if tensor is not None:
                tensor.zero_()


def _run(model: nn.Module, branches: list[Branch], x: torch.Tensor) -> tuple[list[Any], list[str]]:
    """(block, input, output) of each block, and the names of the branches' modules in the order in which they ran."""
    inputs: dict[int, torch.Tensor] = {}
    blocks: list[Any] = []
    order: list[str] = []
    hooks = []
    for block in {id(branch.block): branch.block for branch in branches}.values():
        # Copies: activations work in place.
        hooks.append(block.register_forward_pre_hook(lambda block, x: inputs.update({id(block): x[0].clone()})))
        hooks.append(
            block.register_forward_hook(lambda block, _, out: blocks.append((block, inputs[id(block)], out.clone())))
        )
    for name, module in (item for branch in branches for item in branch.modules):
        hooks.append(module.register_forward_pre_hook(lambda *_, name=name: order.append(name)))
    model(x)
    for hook in hooks:
        hook.remove()
    return blocks, order


@pytest.mark.parametrize("make,count,gates", ARCHITECTURES)
@torch.no_grad()
def test_a_block_without_its_branches_is_its_skip_connection(make, count, gates):
    torch.manual_seed(0)
    model, x = make()
    model.eval()
    branches = find_branches(model)
    assert (len(branches), len(find_gates(model))) == (count, gates)
    assert len({branch.name for branch in branches}) == count
    for _, gate in find_gates(model):  # some are built so small that nothing would show
        gate.fill_(1)
    for _, last in (branch.weighted[-1] for branch in branches):  # and some of these as zero
        for parameter in getattr(last, "out_proj", last).parameters():
            parameter.normal_()
    for norm in (norm for branch in branches for _, norm in branch.norms):
        if norm.weight is not None:
            norm.weight.fill_(1)
        if getattr(norm, "running_mean", None) is not None:
            norm.running_mean.normal_(0, 0.1)  # so that a branch is not zero by accident
    blocks, order = _run(model, branches, x)
    assert len(blocks) == len({id(branch.block) for branch in branches})
    assert not any(_is_skip(*block) for block in blocks)
    # Swins and EVA read the weights of some projections without running them.
    listed = [name for branch in branches for name, _ in branch.modules]
    assert order == [name for name in listed if name in order]
    assert set(listed) - set(order) <= {name for name in listed if name.endswith((".attn.qkv", ".attn.proj"))}
    for branch in branches:
        _cut(branch)
    assert all(_is_skip(*block) for block in _run(model, branches, x)[0])


def _facts(branch: Branch) -> tuple[Any, ...]:
    factors = tuple(None if factor is None else id(factor) for factor in (branch.gate, branch.skip_scale))
    modules = frozenset(branch.modules)  # the names do not tell the order
    return branch.name, branch.block, modules, branch.last_layers, branch.last_norm, branch.kind, factors


@pytest.mark.parametrize("make", [pytest.param(p.values[0], id=p.id, marks=p.marks) for p in ARCHITECTURES])
def test_a_run_tells_what_the_names_tell(make):
    model, _ = make()
    assert set(map(_facts, find_branches(model))) == set(map(_facts, listed_branches(model)))


# Blocks that no names tell: how many branches there are, and the layers that end the first one.
UNLISTED = [
    pytest.param(timm_("skresnet18"), 8, "layer1.0.conv2.conv", id="skresnet"),
    pytest.param(timm_("res2net50_26w_4s"), 16, "layer1.0.conv3", id="res2net", marks=SLOW),
    pytest.param(timm_("resnest14d"), 4, "layer1.0.conv3", id="resnest"),
    pytest.param(
        timm_("ghostnet_050"),
        None,
        "blocks.0.0.ghost2.primary_conv.0 blocks.0.0.ghost2.cheap_operation.0",
        id="ghostnet",
    ),
    pytest.param(timm_("dla46x_c"), None, "level2.tree1.conv3", id="dla"),
    pytest.param(timm_("dpn48b"), 16, "features.conv2_1.c1x1_c1", id="dpn"),
    pytest.param(timm_("repvit_m1"), None, None, id="repvit"),
    pytest.param(timm_("efficientformerv2_s0", 224), None, "stages.0.blocks.0.mlp.fc2.conv", id="efficientformerv2"),
    pytest.param(timm_("fastvit_t8"), None, None, id="fastvit", marks=SLOW),
    pytest.param(timm_("starnet_s050"), 6, "stages.0.1.dwconv2.conv", id="starnet"),
    pytest.param(timm_("test_mambaout"), 6, "stages.0.blocks.0.fc2", id="mambaout"),
    pytest.param(timm_("sequencer2d_s"), 36, "stages.0.blocks.0.rnn_tokens.fc", id="sequencer", marks=SLOW),
    pytest.param(timm_("davit_tiny"), 48, "stages.0.blocks.0.0.cpe1.proj", id="davit", marks=SLOW),
    pytest.param(timm_("mixnet_s"), None, None, id="mixnet"),
    pytest.param(timm_("legacy_seresnet18"), 8, "layer1.0.conv2", id="senet"),
    pytest.param(timm_("rexnet_100"), 11, None, id="rexnet"),
    pytest.param(timm_("levit_128s", 224), 20, "stages.0.blocks.0.attn.proj.ln.linear", id="levit"),
    pytest.param(timm_("inception_next_atto"), 12, "stages.0.blocks.0.mlp.fc2", id="inception_next"),
]


@pytest.mark.parametrize("make, count, ends", UNLISTED)
def test_branches_that_no_names_tell_are_found_by_running(make, count, ends):
    model, x = make()
    branches = find_branches(model)
    assert branches
    assert count in (None, len(branches))
    assert ends is None or [name for name, _ in branches[0].last_layers] == ends.split()
    assert all(branch.weighted for branch in branches)
    assert [branch.modules for branch in find_branches(model, x)] == [branch.modules for branch in branches]


@torch.no_grad()
def test_mixnets_parallel_last_convolutions_all_end_the_branch():
    model = timm.create_model("mixnet_s")
    parallel = [branch for branch in find_branches(model) if len(branch.last_layers) > 1]
    assert parallel
    initbench.initialize(model, "zero_hadamard")
    assert not any(layer.weight.any() for branch in parallel for _, layer in branch.last_layers)


@torch.no_grad()
def test_a_post_norm_layer_without_its_branches_is_its_norms():
    torch.manual_seed(0)
    model, x = encoder(False)()
    branches = find_branches(model)
    assert [branch.kind for branch in branches] == ["attention", "mlp"] * 2
    assert not any(branch.norms for branch in branches)
    for branch in branches:
        _cut(branch)
    for layer in model.layers:
        torch.testing.assert_close(layer(x), layer.norm2(layer.norm1(x)))


def test_a_decoder_layer_has_three_branches_of_which_one_is_a_self_attention_and_one_a_cross_attention():
    model = nn.TransformerDecoderLayer(8, 2, 16, norm_first=True)
    assert [branch.name for branch in find_branches(model)] == ["self_attn", "multihead_attn", ""]
    assert [[name for name, _ in branch.modules] for branch in find_branches(model)] == [
        ["norm1", "self_attn"],
        ["norm2", "multihead_attn"],
        ["norm3", "linear1", "linear2"],
    ]
    attentions = find_attentions(model)
    assert [(each.name, each.is_self_attention) for each in attentions] == [
        ("self_attn", True),
        ("multihead_attn", False),
    ]


@pytest.mark.parametrize("name", ["vgg11", "alexnet", "densenet121", "googlenet", "shufflenet_v2_x0_5"])
def test_models_without_skip_connections_have_no_branches(name):
    # DenseNet and ShuffleNet concatenate.
    with torch.device("meta"):
        kwargs = {"init_weights": False} if name == "googlenet" else {}
        assert find_branches(torchvision.models.get_model(name, **kwargs)) == []


@pytest.mark.parametrize("method", ["fixup", "zero_gamma"])
@pytest.mark.parametrize("model", [nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 3), nn.ReLU())])
def test_a_model_without_branches_is_refused(model, method):
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=f"^{method} needs residual branches .* has none$"):
        initbench.initialize(model, method)
    assert all(map(torch.equal, before, model.parameters()))


class Own(nn.Module):
    """A user's block, by the protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 4))
        self.gate = nn.Parameter(torch.ones(4))
        self.skip_scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.skip_scale * x + self.gate * self.branch(x)


def test_protocol():
    model = nn.Sequential(Own(), Own())
    first, second = find_branches(model)
    assert (first.name, second.name) == ("0.branch", "1.branch")
    assert [name for name, _ in first.modules] == ["0.branch.0", "0.branch.1", "0.branch.3"]
    assert [name for name, _ in first.weighted] == ["0.branch.1", "0.branch.3"]
    assert first.last_norm is None
    assert first.kind == "mlp"
    assert first.gate is model[0].gate
    assert first.skip_scale is model[0].skip_scale
    assert find_gates(model) == [("0.gate", model[0].gate), ("1.gate", model[1].gate)]
    assert find_branches(model[0])[0].name == "branch"


def test_squeeze_and_excitation_is_no_step_of_a_branch():
    branch = find_branches(timm.create_model("seresnet18"))[0]
    assert [name for name, _ in branch.modules] == [f"layer1.0.{key}" for key in ("conv1", "bn1", "conv2", "bn2")]
    assert branch.last_norm[0] == "layer1.0.bn2"


@pytest.mark.parametrize("module", [nn.MultiheadAttention(12, 3, batch_first=True), timm.layers.Attention(12, 3)])
@torch.no_grad()
def test_attention_is_softmax_of_query_and_key_times_value(module):
    """The four matrices, used by hand head by head, give what the module computes; writing them changes it."""
    torch.manual_seed(0)
    (found,) = find_attentions(module.eval())
    assert (found.width, found.num_heads) == (12, 3)
    for projection in found.projections:
        projection.write(torch.randn(12, 12))
    for key, parameter in module.named_parameters():
        if key.endswith("bias"):
            parameter.zero_()
    x = torch.randn(2, 5, 12)
    weights = [projection.weight for projection in found.projections]
    query, key, value = ((x @ w.T).unflatten(-1, (3, 4)).transpose(1, 2) for w in weights[:3])
    heads = (query @ key.transpose(-2, -1) / 2).softmax(-1) @ value
    out = module(x, x, x)[0] if isinstance(module, nn.MultiheadAttention) else module(x)
    torch.testing.assert_close(out, heads.transpose(1, 2).flatten(2) @ weights[3].T)


def test_attentions_of_other_layouts():
    (apart,) = find_attentions(nn.MultiheadAttention(8, 2, kdim=4, vdim=6))  # three projections of their own
    assert [each.shape for each in apart.projections] == [(8, 8), (8, 4), (8, 6), (8, 8)]
    (narrow,) = find_attentions(timm.layers.Attention(8, 2, attn_head_dim=2))
    assert [each.shape for each in narrow.projections] == [(4, 8), (4, 8), (4, 8), (8, 4)]
    assert not apart.is_square
    assert not narrow.is_square
    with torch.device("meta"):
        model = timm.create_model("tiny_vit_5m_224")  # each head of 32 features has query, key and value in turn
    first = find_attentions(model)[0]
    assert first.query.rows == tuple(head * 96 + feature for head in range(4) for feature in range(32))
    assert first.value.rows == tuple(head * 96 + feature for head in range(4) for feature in range(64, 96))


def test_recurrents():
    model = nn.ModuleList([nn.LSTM(2, 3), nn.Linear(3, 3), nn.GRUCell(3, 3)])
    assert [name for name, _ in find_recurrents(model)] == ["0", "2"]
