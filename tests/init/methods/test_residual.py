"""Zero-gamma, Fixup, SkipInit and ReZero against what their papers claim."""

import math

import pytest
import timm
import torch
from running import Residual
from torch import nn

import initbench
from initbench import init
from initbench.init.initializer import initializer
from initbench.init.structure.parts import find_branches
from initbench.model import CifarResNet

CIFAR = {"in_channels": 3, "image_size": 32, "num_classes": 10}


def resnet(norm: str = "batch", gate: bool = False, depth: int = 20) -> CifarResNet:
    return CifarResNet(depth=depth, width=4, norm=norm, gate=gate, **CIFAR)


def residual_mlp(blocks: int, width: int = 32) -> nn.Sequential:
    return nn.Sequential(nn.Linear(16, width), *(Residual(width) for _ in range(blocks)), nn.Linear(width, 4))


@pytest.mark.parametrize(
    "name,norm,gate",
    [
        ("zero_gamma", "batch", False),
        ("zero_gamma", "group", False),
        ("fixup", "none", False),
        ("fixup", "fixup", False),
        ("skipinit", "none", True),
        ("rezero", "batch", True),
    ],
)
@torch.no_grad()
def test_every_block_starts_as_its_skip_connection(name, norm, gate):
    torch.manual_seed(0)
    model = initbench.initialize(resnet(norm, gate), name).eval()
    for branch in find_branches(model):
        block, channels = branch.block, branch.weighted[0][1].in_channels
        x = torch.rand(2, channels, 8, 8)
        skip = x if block.shortcut is None else block.shortcut(x)
        assert torch.equal(block(x), skip)
        # Cut off once, and not dead: what is left in the branch is random.
        assert branch.weighted[0][1].weight.std() > 0


@pytest.mark.parametrize("name,norm,gate", [("fixup", "fixup", False), ("skipinit", "none", True)])
def test_some_parameter_of_every_branch_has_a_gradient(name, norm, gate):
    torch.manual_seed(0)
    model = initbench.initialize(resnet(norm, gate), name)
    nn.init.normal_(model.classifier.weight)  # Fixup's is zero, so that it learns first
    nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.tensor([0, 1, 2, 3])).backward()
    for branch in find_branches(model):
        assert any(p.grad.abs().sum() > 0 for p in branch.block.parameters())


def test_zero_gamma_is_torchvisions_own():
    from torchvision import models

    torch.manual_seed(0)
    theirs = models.resnet18(zero_init_residual=True)
    ours = initbench.initialize(models.resnet18(), "zero_gamma", seed=1)
    zero = {name for name, p in theirs.named_parameters() if name.endswith("weight") and not p.any()}
    assert {name for name, p in ours.named_parameters() if name.endswith("weight") and not p.any()} == zero
    for name in (f"layer{stage}.{block}.conv2.weight" for stage in (1, 2, 3, 4) for block in (0, 1)):
        std = theirs.get_parameter(name).std().item()
        assert ours.get_parameter(name).std().item() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("make", [lambda: timm.create_model("vit_tiny_patch16_224", depth=1), lambda: resnet("none")])
def test_zero_gamma_refuses_a_branch_that_no_norm_ends(make):
    with pytest.raises(ValueError, match="is not ended by one"):
        initbench.initialize(make(), "zero_gamma")


def test_zero_gamma_refuses_a_norm_without_a_scale():
    block = Residual(4)
    block.branch.append(nn.LayerNorm(4, elementwise_affine=False))
    with pytest.raises(ValueError, match="learnable scale"):
        initbench.initialize(block, "zero_gamma")


# These models have none.
@pytest.mark.filterwarnings("ignore:no activation module")
@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_fixup_scales_as_in_the_paper(layers):
    """L^(-1 / (2m - 2)) times what the base scheme draws, number by number."""
    torch.manual_seed(0)

    def make():
        blocks = [Residual(8) for _ in range(7)]
        for block in blocks:
            block.branch = nn.Sequential(*(nn.Linear(8, 8) for _ in range(layers)))
        return nn.Sequential(nn.Linear(5, 8), *blocks, nn.Linear(8, 3))

    base = initbench.initialize(make(), "kaiming_normal", mode="fan_out")
    model = initbench.initialize(make(), "fixup")
    assert torch.equal(model[0].weight, base[0].weight)
    for ours, theirs in zip(model[1:-1], base[1:-1], strict=True):
        for layer, other in zip(ours.branch[:-1], theirs.branch[:-1], strict=True):
            torch.testing.assert_close(layer.weight, other.weight * 7 ** (-1 / (2 * layers - 2)))
        assert not ours.branch[-1].weight.any()
    assert not model[-1].weight.any()
    assert not model[-1].bias.any()


@pytest.mark.parametrize("attention", ["torch", "timm"])
def test_fixup_counts_an_attention_as_four_layers(attention):
    """Query, key, value and output, as the authors explain their factor L^(-1/6) for transformers."""
    if attention == "torch":
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        model = nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        into, out = "layers.1.self_attn.in_proj_weight", "layers.1.self_attn.out_proj.weight"
    else:
        model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=3)
        into, out = "blocks.1.attn.qkv.weight", "blocks.1.attn.proj.weight"
    before = initbench.initialize(model, "kaiming_normal", mode="fan_out").get_parameter(into).clone()
    initbench.initialize(model, "fixup")
    torch.testing.assert_close(model.get_parameter(into), before * 6 ** (-1 / 6))
    assert not model.get_parameter(out).any()


def _change(model: nn.Module, lr: float) -> float:
    """How far one step of SGD moves the features before the classifier, which is fixed: root mean square."""
    x, target = torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), torch.arange(64) % 4
    torch.manual_seed(1)
    nn.init.normal_(model[-1].weight, std=0.1)
    before = model(x)
    nn.functional.cross_entropy(before, target).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= lr * parameter.grad
        return (model(x) - before).square().mean().sqrt().item()


def test_fixups_first_step_changes_the_function_alike_at_any_depth():
    """Section 3's design goal, Theta(eta) for every L; without it the same step grows with depth."""
    fixup = {L: _change(initbench.initialize(residual_mlp(L), "fixup"), 1e-3) for L in (5, 50)}
    plain = {L: _change(initbench.initialize(residual_mlp(L), "kaiming_normal"), 1e-3) for L in (5, 50)}
    assert 0.5 < fixup[50] / fixup[5] < 2
    assert not 0.1 < plain[50] / plain[5] < 10
    assert _change(initbench.initialize(residual_mlp(50), "fixup"), 2e-3) == pytest.approx(2 * fixup[50], rel=0.1)


def test_fixup_refuses_a_norm_behind_the_zero_layer():
    with pytest.raises(ValueError, match=r"stage1\.0\.branch\.norm2 follows the last layer"):
        initbench.initialize(resnet("batch"), "fixup")


def test_fixup_refuses_standardized_weights():
    with pytest.raises(ValueError, match="standardizes its weight"):
        initbench.initialize(timm.create_model("nf_resnet26"), "fixup")


def test_fixup_slows_scalars_only():
    model = resnet("fixup")
    rates = initializer("fixup").learning_rates(model, adaptive=False)
    assert rates == {name: 0.1 for name, p in model.named_parameters() if p.dim() == 0}
    assert len(rates) == 47
    assert initializer("fixup", scalar_learning_rate=1.0).learning_rates(model, adaptive=True) == {}
    assert initializer("fixup").learning_rates(nn.Sequential(Residual(4), nn.Linear(4, 1)), adaptive=False) == {}


def test_fixup_opens_gates():
    model = timm.create_model("convnext_atto", depths=(1, 1, 1, 1))
    initbench.initialize(model, "fixup")
    assert all(branch.gate.eq(1).all() for branch in find_branches(model))


@pytest.mark.parametrize("name", ["skipinit", "rezero"])
def test_gates_take_the_value_and_nothing_else_changes(name):
    model = initbench.initialize(resnet(gate=True), name, value=0.25)
    table = init.describe(resnet(gate=True), name, value=0.25).set_index("parameter")
    assert all(branch.gate.item() == 0.25 for branch in find_branches(model))
    assert list(table.index[table.scheme.str.endswith(f", {name}")]) == [
        f"{branch.name.removesuffix('branch')}gate" for branch in find_branches(model)
    ]
    conv = table.loc["stage3.1.branch.conv1.weight"]
    bound = {"skipinit": math.sqrt(2 / conv.fan_in), "rezero": math.sqrt(1 / 3 / conv.fan_in)}[name]
    assert conv["std"] == pytest.approx(bound, rel=0.1)


@pytest.mark.parametrize("name", ["skipinit", "rezero"])
def test_a_model_without_gates_is_refused(name):
    with pytest.raises(ValueError, match=f"^{name} needs gates"):
        initbench.initialize(resnet(), name)


def test_a_value_that_is_a_word_is_refused():
    with pytest.raises(ValueError, match="value of skipinit must be a number, got 'zero'"):
        initbench.initialize(resnet(gate=True), "skipinit", value="zero")
