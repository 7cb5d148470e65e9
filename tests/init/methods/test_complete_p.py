"""CompleteP: table 1 by hand, the output layer against the paper's logits; coordinates in test_coordinate_check.py."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import optimizer
from initbench.init import Factors, initialize, initializer, optimizer_factors
from initbench.model import GPT, MLP, ViT


def gpt(**settings: Any) -> GPT:
    small = {"vocab_size": 40, "context_length": 8, "depth": 8, "width": 128, "heads": 4, "bias": True}
    return GPT(**{**small, "tied": False, "branch_multiplier": True, **settings})


def test_values_of_table_1() -> None:
    """Four times the depth and twice the width of the base model."""
    model = initialize(gpt(), "complete_p", alpha=0.5)
    for name, parameter in model.named_parameters():
        if "blocks" in name and parameter.dim() == 2:
            assert parameter.std().item() == pytest.approx(0.02 / math.sqrt(2), rel=0.05), name
    assert model.embedding.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert model.position_embedding.weight.std().item() == pytest.approx(0.02, rel=0.1)
    assert model.head.weight.std().item() == pytest.approx(0.02 / 2, rel=0.05)
    assert [buffer.item() for buffer in model.buffers()] == [0.5] * 8
    assert [buffer.item() for buffer in initialize(model, "complete_p").buffers()] == [0.25] * 8


@pytest.mark.parametrize("alpha", [0.5, 0.75, 1])
def test_factors_of_table_1(alpha: float) -> None:
    width, depth = 2, 4
    weight = Factors(depth ** (alpha - 1) / width, depth**-alpha / width, width)
    other = Factors(depth ** (alpha - 1), depth**-alpha / width, 1)
    outside = Factors(1, 1 / width, 1)
    wanted = {
        "embedding.weight": outside,
        "position_embedding.weight": outside,
        "norm.weight": outside,
        "norm.bias": outside,
        "head.weight": Factors(1 / width, 1, width),
        "blocks.block3.norm1.weight": other,
        "blocks.block3.norm2.bias": other,
        "blocks.block3.attention.qkv.weight": weight,
        "blocks.block3.attention.qkv.bias": other,
        "blocks.block3.attention.proj.weight": weight,
        "blocks.block3.mlp.linear1.weight": weight,
        "blocks.block3.mlp.linear2.weight": weight,
        "blocks.block3.mlp.linear2.bias": other,
    }
    found = optimizer_factors(gpt(), "complete_p", adaptive=True, alpha=alpha)
    assert [*found] == [name for name, _ in gpt().named_parameters()]
    for name, factors in wanted.items():
        assert found[name] == pytest.approx(factors), name


def test_factors_of_a_llama() -> None:
    """Gate, up and down, and query, key and value apart, are weights of branches as all others."""
    llama = {"norm": "rms", "mlp": "swiglu", "positions": "rope", "projections": "apart", "kv_heads": 2, "bias": False}
    found = optimizer_factors(gpt(**llama), "complete_p", adaptive=True)
    model = initialize(gpt(**llama), "complete_p")
    for name, parameter in model.named_parameters():
        if "blocks" in name:
            assert found[name] == (Factors(1 / 2, 1 / 8, 2) if parameter.dim() == 2 else Factors(1, 1 / 8, 1))
            if parameter.dim() == 2:
                assert parameter.std().item() == pytest.approx(0.02 / math.sqrt(2), rel=0.05), name


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("branch_multiplier", [True, False])
def test_the_base_model_is_as_without(tied: bool, branch_multiplier: bool) -> None:
    """Whether the output layer is tied or branches have a constant does not matter there."""
    normal = {"name": "normal", "std": 0.02}
    model = gpt(tied=tied, branch_multiplier=branch_multiplier, depth=2)
    initialize(model, "complete_p", base_width=128, seed=5)
    plain = initialize(gpt(tied=tied, depth=2), {"weight": normal, "embedding": normal}, seed=5)
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(model.get_parameter(name), parameter, rtol=0, atol=0)
    assert set(optimizer_factors(model, "complete_p", adaptive=True, base_width=128).values()) == {Factors()}


class PapersLogits(nn.Module):
    """A model whose output layer has the weights of the paper, and whose logits are divided by m_N."""

    def __init__(self, model: GPT, width: float) -> None:
        super().__init__()
        self.model, self.width = model, width
        model.head.weight.data.mul_(width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens) / self.width


def test_the_output_layer_is_trained_as_in_the_paper() -> None:
    """With logits / m_N, the output layer has the rate and decay of the base model and eps / m_N."""
    settings = {"_target_": "torch.optim.AdamW", "lr": 0.01, "eps": 1e-3, "weight_decay": 0.5}
    tokens = torch.randint(40, (4, 9))
    start = initializer("complete_p")
    folded = gpt(depth=2).double()
    start.apply(folded, seed=0)
    factors = start.optimizer_factors(folded, adaptive=True)
    papers = PapersLogits(initialize(gpt(depth=2).double(), "complete_p", seed=0), width=2)
    others = {f"model.{name}": factor for name, factor in factors.items()}
    of_papers = {**others, "model.head.weight": Factors(lr=1, eps=1 / 2, weight_decay=1)}
    models = {folded: factors, papers: of_papers}
    optimizers = [optimizer.build(settings)(model, lambda _, own=own: own) for model, own in models.items()]
    for _ in range(5):
        for model, own in zip(models, optimizers, strict=True):
            own.zero_grad()
            F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
            own.step()
    torch.testing.assert_close(folded(tokens[:, :8]), papers(tokens[:, :8]), rtol=1e-9, atol=1e-12)
    assert (folded(tokens[:, :8]) - gpt(depth=2).double()(tokens[:, :8])).abs().max() > 0.1


def test_the_weights_to_be_scaled_may_be_others() -> None:
    model = initialize(gpt(), "complete_p", weight={"name": "constant", "value": 1}, embedding=3)
    assert (model.embedding.weight == 3).all()
    torch.testing.assert_close(model.blocks[0].mlp.linear1.weight, torch.full((512, 128), 1 / math.sqrt(2)))
    assert (model.head.weight == 0.5).all()


def test_it_is_applied_once_however_often() -> None:
    once, twice = (initialize(gpt(), "complete_p", seed=1) for _ in range(2))
    initialize(twice, "complete_p", seed=1)
    for name, value in once.state_dict().items():
        assert torch.equal(value, twice.state_dict()[name]), name


def test_a_vision_transformer_of_the_base_depth() -> None:
    """The patch embedding reads the data; the classifier has a bias, whose gradient does not depend on the width."""
    model = ViT(in_channels=3, image_size=8, num_classes=5, patch_size=4, width=128, depth=2, num_heads=4, mlp_ratio=2)
    found = optimizer_factors(model, "complete_p", adaptive=True)
    names = {type(module).__name__: name for name, module in model.named_modules()}
    assert found[f"{names['Conv2d']}.weight"] == Factors(1, 1 / 2, 1)
    last = list(found)[-2:]
    assert [found[name] for name in last] == [Factors(1 / 2, 1, 2), Factors()]


def test_only_the_branch_is_multiplied() -> None:
    model, tokens = initialize(gpt(depth=4), "complete_p"), torch.randint(40, (2, 8))
    block = model.blocks[0]
    x = model.embedding(tokens)
    between = x + block.attention(block.norm1(x)) / 2
    torch.testing.assert_close(block(x), between + block.mlp(block.norm2(between)) / 2)


TIED = "complete_p divides the logits by 2, and the output layer shares its weight with the embedding"


@pytest.mark.parametrize(
    "model, settings, said",
    [
        (
            gpt(branch_multiplier=False),
            {},
            "complete_p multiplies residual branches by 4.-1, and blocks.block1.attention has no constant for it, "
            "which is a buffer with one number .model=gpt has one with model.branch_multiplier=true.; "
            "or set base_depth=8$",
        ),
        (
            gpt(tied=True),
            {},
            f"{TIED} embedding.weight: give it one of its own .model.tied=false for model=gpt, "
            "'model.config={tie_word_embeddings: false}' for .*, or set base_width=128",
        ),
        (
            MLP(in_features=4, out_features=3, depth=2, width=8),
            {},
            "complete_p needs residual branches .* and MLP has none",
        ),
        (gpt(), {"base_width": 0}, "complete_p needs a base_width above 0, got 0"),
        (gpt(), {"base_depth": -1}, "complete_p needs a base_depth above 0, got -1"),
        (gpt(), {"alpha": 0.4}, "complete_p needs an alpha from 0.5 to 1, got 0.4"),
        (gpt(), {"alpha": 1.1}, "complete_p needs an alpha from 0.5 to 1, got 1.1"),
        (nn.TransformerEncoderLayer(8, 2, 16), {"base_depth": 1}, "the last weight, linear2.weight, is in a branch"),
        (
            nn.Sequential(gpt(depth=2).blocks, nn.Linear(128, 64), nn.Linear(64, 3)),
            {},
            "has rules for embeddings, the input, residual branches and the output layer, and 1.weight is in none",
        ),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(model: nn.Module, settings: dict[str, Any], said: str) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=said) as error:
        initialize(model, "complete_p", **settings)
    assert "\n" not in str(error.value)
    for name, value in before.items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_sgd_is_refused() -> None:
    with pytest.raises(ValueError, match="and none for SGD: choose optimizer=adamw"):
        optimizer_factors(gpt(), "complete_p", adaptive=False)
    with pytest.raises(ValueError, match="complete_p changes eps or weight_decay too"):
        initializer("complete_p").learning_rates(gpt(), adaptive=True)


class Gated(nn.Module):
    """A block whose branch has a gate and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear1, self.linear2 = nn.LayerNorm(128), nn.Linear(128, 16), nn.Linear(16, 128)
        self.gate = nn.Parameter(torch.ones(()))
        self.register_buffer("multiplier", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.multiplier * (self.gate * self.linear2(self.linear1(self.norm(x)).relu()))


def test_gates_in_branches_have_the_factors_of_norms() -> None:
    model = nn.Sequential(nn.Linear(16, 128), *(Gated() for _ in range(4)), nn.Linear(128, 5))
    chosen = initializer("complete_p", alpha=0.5)
    found = chosen.optimizer_factors(model, adaptive=True, example=torch.randn(2, 16))
    for index in range(1, 5):
        for key in ("gate", "norm.weight", "linear2.bias"):
            assert found[f"{index}.{key}"] == pytest.approx(Factors(2**-0.5, 2**-0.5 / 2, 1)), key


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"depth": 1, "branch_multiplier": False}, "multiplies residual branches by 0.5.-1, .*or set base_depth=1$"),
        ({"depth": 2, "width": 32, "tied": True}, "divides the logits by 0.5, .*or set base_width=32$"),
    ],
)
def test_models_smaller_than_the_base_are_refused_for_the_same_reasons(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        initialize(gpt(**settings), "complete_p")


def test_a_matrix_between_an_embedding_and_the_branches_has_no_rule() -> None:
    model = nn.Sequential(nn.Embedding(40, 128), nn.Linear(128, 128), gpt(depth=2).blocks, nn.Linear(128, 40))
    with pytest.raises(ValueError, match=r"residual branches and the output layer, and 1\.weight is in none"):
        initialize(model, "complete_p")
