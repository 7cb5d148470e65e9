"""Sub-LN: the law of every matrix by the paper's formulas, on packed and separate projections, and what it is for."""

import math
import statistics
from typing import Any

import pytest
import timm
import torch
import transformers
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils import parametrizations

import initbench
from initbench.init import initializer
from initbench.init.structure.parts import Parts
from initbench.model import GPT, LeNet, ViT

MNIST = {"in_channels": 1, "image_size": 28, "num_classes": 10}
WIDTH, DEPTH = 64, 3
GAIN = 1.3386  # sqrt(log 6), by a pocket calculator


def gpt(**options: Any) -> GPT:
    small = {"vocab_size": 97, "context_length": 16, "depth": DEPTH, "width": WIDTH, "heads": 4, "tied": False}
    return GPT(**{**small, **options})


def vit(**keys: Any) -> ViT:
    return ViT(**{"patch_size": 7, "width": 16, "depth": 2, "num_heads": 2, **MNIST, **keys})


def assert_law(weight: Tensor, gain: float, what: object = "") -> None:
    """N(0, gain^2 2 / (in + out)) by the test of Kolmogorov and Smirnov."""
    std = gain * math.sqrt(2 / sum(weight.shape))
    values = weight.detach().flatten().double().numpy()
    assert stats.kstest(values, stats.norm(scale=std).cdf).pvalue > 1e-4, what
    assert weight.std().item() == pytest.approx(std, rel=5 / math.sqrt(2 * weight.numel())), what


LAYOUTS: dict[str, dict[str, Any]] = {
    "packed": {},
    "apart": {"projections": "apart"},
    "grouped": {"kv_heads": 2},
    "grouped apart": {"kv_heads": 2, "projections": "apart"},
    "llama": {"norm": "rms", "mlp": "swiglu", "positions": "rope"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_matrix_by_hand(layout: str) -> None:
    model = gpt(**LAYOUTS[layout])
    assert initializer("sub_ln").apply(model, seed=0).numbers == {"gain": pytest.approx(GAIN, abs=1e-4)}
    for block in model.blocks:
        attention, mlp = block.attention, block.mlp
        if attention.packed:
            query, key, value = attention.qkv.weight.split(attention.sizes)
        else:
            query, key, value = attention.query.weight, attention.key.weight, attention.value.weight
        gained = [value, attention.proj.weight, *(each.weight for each in mlp.children() if hasattr(each, "weight"))]
        assert len(gained) == 2 + (3 if layout == "llama" else 2)
        for weight in (query, key):
            assert_law(weight, 1)
        for weight in gained:
            assert_law(weight, GAIN)
        assert block.norm1.weight.eq(1).all()
    assert_law(model.head.weight, 1)


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "llama"])
def test_models_of_transformers(name: str) -> None:
    """GPT-2 packs three thirds, transposed; GPT-NeoX the three parts of each head; Llama none."""
    size = {"vocab_size": 23, "hidden_size": 32, "num_attention_heads": 2, "num_hidden_layers": DEPTH}
    config = transformers.AutoConfig.for_model(
        name, **size, **({} if name == "gpt2" else {"intermediate_size": 48}), use_cache=False
    )
    model = initbench.initialize(transformers.AutoModelForCausalLM.from_config(config), "sub_ln")
    matrices = Parts(model).branch_matrices
    assert len(matrices) == DEPTH * (7 if name == "llama" else 6)
    for each in matrices:
        gain = 1 if each.purpose in ("query", "key") else GAIN
        assert_law(each.projection.weight, gain, (each.purpose, each.projection.name))


@pytest.mark.parametrize("depth,gain", [(1, 0.8326), (12, 1.7827), (50, 2.1460)])
def test_gain_of_the_depth(depth: int, gain: float) -> None:
    layer = nn.TransformerEncoderLayer(4, 2, 8, norm_first=True, batch_first=True)
    model = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
    assert initializer("sub_ln").apply(model, seed=0).numbers == {"gain": pytest.approx(gain, abs=1e-4)}


# torch says that its encoder has no fast path for such a model.
@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
def test_an_encoder_and_its_decoder() -> None:
    """N = 3 and M = 2: sqrt(log 6 log 6 / 3) and sqrt(log 6); cross-attentions have gain 1."""
    model = nn.Transformer(WIDTH, 4, 3, 2, 128, norm_first=True, batch_first=True)
    numbers = initializer("sub_ln").apply(model, seed=0).numbers
    assert numbers == {"gain_0": pytest.approx(1.0345, abs=1e-4), "gain_1": pytest.approx(GAIN, abs=1e-4)}
    for stack, gain in ((model.encoder, 1.0345), (model.decoder, GAIN)):
        for layer in stack.layers:
            crossed = [layer.multihead_attn] if stack is model.decoder else []
            for attention, own in ((layer.self_attn, gain), *((each, 1.0) for each in crossed)):
                query, key, value = attention.in_proj_weight.chunk(3)
                assert_law(query, 1)
                assert_law(key, 1)
                assert_law(value, own)
                assert_law(attention.out_proj.weight, own)
            assert_law(layer.linear1.weight, gain)
            assert_law(layer.linear2.weight, gain)


def test_an_encoder_and_decoder_of_transformers() -> None:
    """N = 1 and M = 4: sqrt(log 12 log 2 / 3) and sqrt(log 12)."""
    sides = {f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in SIDE.items()}
    config = transformers.PegasusConfig(
        vocab_size=23, d_model=32, max_position_embeddings=16, **{**sides, "encoder_layers": 1, "decoder_layers": 4}
    )
    model = transformers.PegasusForConditionalGeneration(config)
    numbers = initializer("sub_ln").apply(model, seed=0).numbers
    assert numbers == {"gain_0": pytest.approx(0.7577, abs=1e-4), "gain_1": pytest.approx(1.5764, abs=1e-4)}
    layer = model.model.decoder.layers[3]
    assert_law(layer.self_attn.v_proj.weight, 1.5764)
    assert_law(layer.encoder_attn.v_proj.weight, 1)


SIDE = {"attention_heads": 2, "ffn_dim": 48}


class Towers(nn.Module):
    """Two encoders of the same images."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = vit(depth=1), vit(depth=3)

    def forward(self, images: Tensor) -> Tensor:
        return self.one(images) @ self.two(images).T


def test_each_of_two_encoders_has_its_own_depth() -> None:
    numbers = initializer("sub_ln").apply(Towers(), seed=0).numbers
    assert numbers == {"gain_0": pytest.approx(0.8326, abs=1e-4), "gain_1": pytest.approx(GAIN, abs=1e-4)}


def test_weight_is_the_policy_of_what_is_outside_the_branches() -> None:
    ones, plain = (initbench.initialize(gpt(), "sub_ln", **keys) for keys in ({"weight": "ones"}, {}))
    assert ones.head.weight.eq(1).all()
    for one, other in zip(ones.blocks.parameters(), plain.blocks.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_parametrized_weight_is_drawn_through_its_parametrization() -> None:
    plain, model = gpt(), gpt()
    parametrizations.weight_norm(model.blocks.block1.attention.qkv)
    plain, model = (initbench.initialize(each, "sub_ln") for each in (plain, model))
    torch.testing.assert_close(model.blocks.block1.attention.qkv.weight, plain.blocks.block1.attention.qkv.weight)


class SubLayers(nn.Module):
    """Attention and MLP with the two norms of Sub-LN in each branch."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1, self.qkv, self.inner, self.proj = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.LayerNorm(width),
            nn.Linear(width, width),
        )
        hidden = (nn.Linear(width, 4 * width), nn.GELU(), nn.LayerNorm(4 * width))
        self.mlp = nn.Sequential(nn.LayerNorm(width), *hidden, nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(self.norm1(x)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.proj(self.inner(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)))
        return x + self.mlp(x)


def sub_ln_model(depth: int, width: int = 16) -> nn.Sequential:
    blocks = (SubLayers(width, 4) for _ in range(depth))
    return nn.Sequential(nn.Linear(16, width), *blocks, nn.LayerNorm(width), nn.Flatten(), nn.Linear(8 * width, 10))


def test_a_step_on_many_layers_changes_the_output_little_more_than_one_on_few() -> None:
    """The change by a step of SGD on all branches, averaged over seeds."""
    torch.manual_seed(0)
    inputs, targets = torch.randn(8, 8, 16), torch.randint(10, (8,))
    change = {}
    for name in ("xavier_normal", "sub_ln"):
        for depth in (2, 16):
            changes = []
            for seed in range(4):
                model = initbench.initialize(sub_ln_model(depth), name, seed=seed)
                before = model(inputs)
                F.cross_entropy(before, targets).backward()
                with torch.no_grad():
                    for parameter in model[1:-3].parameters():
                        parameter -= 1e-4 * parameter.grad
                changes.append(float((model(inputs) - before).detach().norm()))
            change[name, depth] = statistics.geometric_mean(changes)
    # Measured: 2.6 and 13 times.
    assert change["sub_ln", 16] < 4 * change["sub_ln", 2]
    assert change["xavier_normal", 16] > 6 * change["xavier_normal", 2]


def test_timms_sub_ln_model() -> None:
    size = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": DEPTH, "num_heads": 2, "num_classes": 5}
    model = timm.models.eva.Eva(**size, scale_mlp=True, scale_attn_inner=True, swiglu_mlp=True, qkv_fused=False)
    initbench.initialize(model, "sub_ln")
    for block in model.blocks:
        assert_law(block.attn.q_proj.weight, 1)
        for layer in (block.attn.v_proj, block.attn.proj, block.mlp.fc1_g, block.mlp.fc1_x, block.mlp.fc2):
            assert_law(layer.weight, GAIN)


class CrossedOnce(nn.Module):
    """A decoder of two layers, of which only the first one reads the memory."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.TransformerDecoderLayer(8, 2, 16, norm_first=True, batch_first=True)
        self.second = nn.TransformerEncoderLayer(8, 2, 16, norm_first=True, batch_first=True)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        return self.second(self.first(x, memory))


@pytest.mark.parametrize(
    "model,message",
    [
        (lambda: vit(norm="post"), r"branches that start with a norm, and blocks.0.attention.branch does not"),
        (lambda: vit(norm="none"), "branches that start with a norm"),
        (lambda: nn.TransformerEncoderLayer(8, 2, 16), "branches that start with a norm, and self_attn does not"),
        (lambda: LeNet(**MNIST), "sub_ln needs residual branches"),
        (lambda: timm.create_model("resnet18"), "sub_ln needs self-attention layers"),
        (CrossedOnce, "here 3 residual branches are attentions, 2 of them self-attentions and 1 cross-attentions"),
        (
            lambda: timm.create_model("cait_xxs24_224", img_size=32, patch_size=8, depth=2, embed_dim=32, num_heads=2),
            "rule for encoders and decoders",
        ),
    ],
)
def test_models_without_what_it_needs(model: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        initbench.initialize(model(), "sub_ln")
    assert "\n" not in str(error.value)


def test_every_matrix_has_draws_of_its_own() -> None:
    """Query, key and value of one layer, and those of two layers."""
    model = initbench.initialize(gpt(), "sub_ln")
    drawn = [part for block in model.blocks for part in block.attention.qkv.weight.detach().chunk(3)]
    for index, one in enumerate(drawn):
        for other in drawn[:index]:
            assert abs(float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])) < 0.1


class Mixed(nn.Module):
    """An MLP with a depthwise convolution over the tokens, as in SegFormer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 64), nn.Linear(64, 16)
        self.depthwise = nn.Conv1d(64, 64, 9, padding=4, groups=64)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.depthwise(self.up(self.norm(x)).transpose(1, 2)).transpose(1, 2)
        return x + self.down(F.gelu(hidden))


class AttentionOnly(SubLayers):
    def forward(self, x: Tensor) -> Tensor:
        heads = self.qkv(self.norm1(x)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return x + self.proj(self.inner(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)))


def test_the_fans_of_a_depthwise_convolution_are_those_of_a_group() -> None:
    attention = AttentionOnly(16, 4)
    del attention.mlp
    model = nn.Sequential(nn.Linear(16, 16), attention, Mixed(), nn.Linear(16, 5))
    initbench.initialize(model, "sub_ln", batch=torch.randn(2, 12, 16))
    weight = model[2].depthwise.weight.detach()
    std = math.sqrt(math.log(2)) * math.sqrt(2 / (9 + 9))
    assert float(weight.std()) == pytest.approx(std, rel=5 / math.sqrt(2 * weight.numel()))
