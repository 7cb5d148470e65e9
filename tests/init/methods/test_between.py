"""Between two initializers: bit for bit the weights that each of them has by itself, part by part."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from initbench.init import initialize, initializer, optimizer_factors
from initbench.init.structure.named_parts import PARTS, part_of_each
from initbench.init.structure.parts import Parts
from initbench.model import GPT, ViT


def gpt(**options: Any) -> GPT:
    size = {"vocab_size": 23, "context_length": 8, "depth": 2, "width": 16, "heads": 2, "tied": False}
    return GPT(**size | options)


def vit() -> ViT:
    return ViT(in_channels=3, image_size=8, num_classes=5, patch_size=2, width=16, depth=1, num_heads=2, mlp_ratio=2)


class Residual(nn.Module):
    """A convolutional network with one residual branch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.stem(images)
        return self.head((x + self.branch(x)).mean((2, 3)))


# What is in each part, by patterns of names; the first that matches counts.
OF_GPT = {
    "positions": "position_embedding",
    "embedding": "embedding",
    "norms": r"norm",
    "qkv": r"\.(qkv|query|key|value)\.",
    "attention_out": r"attention\.proj",
    "mlp_in": r"mlp\.(linear1|gate|up)",
    "mlp_out": r"mlp\.(linear2|down)",
    "head": "head",
}
MODELS: dict[str, tuple[Callable[[], nn.Module], dict[str, str]]] = {
    "packed": (lambda: gpt(bias=True), OF_GPT),
    "llama": (lambda: gpt(projections="apart", kv_heads=1, mlp="swiglu", norm="rms", positions="rope"), OF_GPT),
    "vit": (
        vit,
        {
            "positions": "position_embedding",
            "input": "projection",
            "norms": "norm",
            "qkv": "qkv",
            "attention_out": r"\.proj\.",
            "mlp_in": "linear1",
            "mlp_out": "linear2",
            "head": "head|classifier",
        },
    ),
    "residual": (
        Residual,
        {"input": "stem", "conv_in": r"branch\.0", "norms": r"branch\.1", "conv_out": r"branch\.3", "head": "head"},
    ),
    "encoder": (
        lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True),
        {
            "qkv": "in_proj",
            "attention_out": "out_proj",
            "mlp_in": "linear1",
            "mlp_out": "linear2",
            "norms": "norm",
        },
    ),
    "plain": (
        lambda: nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 3)),
        {"input": r"0\.", "hidden": r"2\.", "head": r"4\."},
    ),
}
RECIPES = {
    "packed": [("gpt2", "nanochat"), ("llama_depth", "mitchell"), ("default", "kaiming_uniform"), ("mimetic", "gpt2")],
    "llama": [("megatron", {"name": "gpt2", "std": 0.1}), ("sub_ln", "wang")],
    "vit": [("vit", "vit_jax"), ("kaiming_normal", "gpt2")],
    "residual": [("default", "orthogonal"), ("kaiming_uniform", {"name": "normal", "norm_scale": 0.5})],
    "encoder": [("default", "small_init"), ("xavier_uniform", "orthogonal")],
    "plain": [("kaiming_normal", "orthogonal"), ("per_layer", "zeros")],
}


def drawn(model: nn.Module, init: Any, seed: int = 5, **options: Any) -> dict[str, torch.Tensor]:
    initialize(model, init, seed=seed, **options)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def made(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return MODELS[kind][0]()


def expected_part(kind: str, name: str) -> str:
    return next(part for part, pattern in MODELS[kind][1].items() if re.search(pattern, name))


@pytest.mark.parametrize("kind", MODELS)
def test_every_parameter_is_in_the_part_that_its_name_says(kind: str) -> None:
    model = made(kind)
    found = part_of_each(Parts(model))
    assert found == {name: expected_part(kind, name) for name, _ in model.named_parameters()}
    assert {*found.values()} == {*MODELS[kind][1]} - ({"positions"} if kind == "llama" else set())
    assert {*found.values()} <= {*PARTS}


@pytest.mark.parametrize("kind, a, b", [(kind, *pair) for kind, pairs in RECIPES.items() for pair in pairs])
def test_each_part_has_the_weights_of_the_initializer_that_draws_it(kind: str, a: Any, b: Any) -> None:
    of_a, of_b = drawn(made(kind), a), drawn(made(kind), b)
    differing = {expected_part(kind, name) for name in of_a if not torch.equal(of_a[name], of_b[name])}
    parts = [part for part in PARTS if part in differing]
    assert len(parts) >= 2
    for chosen in ([], parts[:1], parts[1::2], parts):
        mixed = drawn(made(kind), "between", a=a, b=b, parts=parts, from_b=chosen)
        for name, value in mixed.items():
            assert torch.equal(value, (of_b if expected_part(kind, name) in chosen else of_a)[name]), (name, chosen)
    assert all(torch.equal(value, of_b[name]) for name, value in mixed.items())  # of the last choice, all of them


def test_a_part_that_is_not_named_is_drawn_by_a_and_counted() -> None:
    model = gpt()
    chosen = initializer("between", a="gpt2", b="nanochat", parts=["qkv", "head"], from_b=["qkv", "head"])
    outcome = chosen.apply(model, seed=1)
    assert outcome.numbers == {"parts_left_to_a": 5}  # embedding, positions, attention_out, mlp_in and mlp_out
    a, b = initialize(gpt(), "gpt2", seed=1), initialize(gpt(), "nanochat", seed=1)
    assert torch.equal(model.embedding.weight, a.embedding.weight)
    assert torch.equal(model.head.weight, b.head.weight)


def test_a_tied_head_is_drawn_with_the_embedding() -> None:
    found = part_of_each(Parts(gpt(tied=True)))
    assert "head" not in found.values()
    assert found["embedding.weight"] == "embedding"


def test_policies_of_the_config_apply_to_both() -> None:
    parts = {"a": "kaiming_normal", "b": "orthogonal", "parts": ["qkv", "head"], "from_b": ["qkv"]}
    model = initialize(gpt(bias=True), "between", bias=0.5, norm_scale=2, **parts)
    assert (model.blocks[0].attention.qkv.bias == 0.5).all()
    assert (model.blocks[0].mlp.linear1.bias == 0.5).all()
    assert (model.norm.weight == 2).all()


def test_what_is_behind_a_parametrized_weight_comes_from_the_same_initializer() -> None:
    def weighted() -> nn.Module:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 3))
        parametrizations.weight_norm(model[0])
        parametrizations.orthogonal(model[2])
        return model

    given = {"batch": torch.randn(4, 6)}  # inputs to run the model on
    of_b = drawn(weighted(), "normal", std=0.3, **given)
    both = {"a": "kaiming_normal", "b": {"name": "normal", "std": 0.3}, "parts": ["input", "head"]}
    mixed = drawn(weighted(), "between", **both, **given, from_b=["input"])
    of_a = drawn(weighted(), "kaiming_normal", **given)
    for name, value in mixed.items():
        assert torch.equal(value, (of_b if name.startswith("0.") else of_a)[name]), name


def test_a_part_may_come_from_a_file(tmp_path: Path) -> None:
    trained = initialize(gpt(), "normal", seed=9)
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    both = {"a": "gpt2", "b": {"name": "state_dict", "path": str(tmp_path / "weights.pt")}}
    model = initialize(gpt(), "between", seed=5, **both, parts=["qkv", "head"], from_b=["head"])
    own = initialize(gpt(), "gpt2", seed=5)
    assert torch.equal(model.head.weight, trained.head.weight)
    assert torch.equal(model.blocks[0].attention.qkv.weight, own.blocks[0].attention.qkv.weight)


def test_a_buffer_that_differs_is_in_no_part(tmp_path: Path) -> None:
    trained = Residual()
    trained(torch.randn(8, 3, 6, 6))  # which moves the running statistics of its norm
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    both = {"a": "default", "b": {"name": "state_dict", "path": str(tmp_path / "weights.pt")}}
    with pytest.raises(ValueError, match=r"set the buffer branch\.1\.running_mean to different values"):
        initialize(Residual(), "between", **both, parts=["head"])


def test_it_changes_no_learning_rate() -> None:
    factors = optimizer_factors(gpt(), "between", adaptive=True, a="gpt2", b="nanochat", parts=["qkv"])
    assert {factor.lr for factor in factors.values()} == {1.0}


class Parallel(nn.Module):
    """A block whose attention and MLP share their layers, as in ViT-22B."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.both, self.out = nn.LayerNorm(16), nn.Linear(16, 3 * 16 + 32), nn.Linear(16 + 32, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value, hidden = self.both(self.norm(x)).split([16, 16, 16, 32], dim=-1)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.head(x + self.out(torch.cat([mixed, nn.functional.gelu(hidden)], dim=-1)))


def test_a_weight_of_two_parts_is_refused() -> None:
    chosen = initializer("between", a="xavier_normal", b="normal", parts=["qkv", "head"])
    with pytest.raises(ValueError, match=r"both\.weight is a weight of qkv and mlp_in, which cannot be drawn apart"):
        chosen.plan(Parallel(), torch.randn(2, 5, 16))


SOUND = {"a": "gpt2", "b": "nanochat", "parts": ["qkv", "head"]}


@pytest.mark.parametrize(
    "model, changed, said",
    [
        (gpt, {"parts": ["qkw"]}, "unknown part 'qkw'. Did you mean 'qkv'.* Allowed: .*attention_out"),
        (gpt, {"parts": ["conv_in"]}, "the model has no part 'conv_in'. GPT has embedding, positions, qkv"),
        (lambda: gpt(tied=True), {"b": "wang"}, "the model has no part 'head'. GPT has embedding"),
        (gpt, {"parts": []}, "parts must name at least one part. GPT has embedding"),
        (gpt, {"parts": ["qkv", "qkv"]}, "parts has 'qkv' twice"),
        (gpt, {"parts": ["qkv", "norms"]}, "a and b draw 'norms' alike, .* They differ in embedding, positions, qkv"),
        (gpt, {"b": "gpt2"}, "They differ in nothing$"),
        (gpt, {"from_b": ["haed"]}, "from_b may only have parts of `parts`, got 'haed'. Did you mean 'head'?"),
        (gpt, {"from_b": ["mlp_in"]}, "got 'mlp_in'. Allowed: qkv, head$"),
        (gpt, {"b": "nanochap"}, "unknown initializer 'nanochap'. Did you mean 'nanochat'?"),
        (gpt, {"b": {"name": "gpt2", "stdd": 1}}, "unknown key stdd of gpt2. Did you mean 'std'"),
        (gpt, {"b": "mup"}, "b=mup scales learning rates too"),
        (gpt, {"a": "lsuv"}, "a=lsuv needs data"),
        (gpt, {"a": "???"}, "a has no value yet: give the name of an initializer, such as a=gpt2"),
        (lambda: gpt(tied=True), {}, "head_std is for a head of its own"),
        (gpt, {"parts": "qkv"}, "parts of between must be a list"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_written(
    model: Callable[[], nn.Module], changed: dict[str, Any], said: str
) -> None:
    built = model()
    before = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    with pytest.raises(ValueError, match=said) as error:
        initializer("between", **{**SOUND, **changed}).plan(built)
    assert "\n" not in str(error.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in built.state_dict().items())


def test_an_option_that_sets_a_policy_itself_keeps_it() -> None:
    """SIREN's file has torch's own biases; that of kaiming_normal says nothing about biases."""
    both = {"a": "kaiming_normal", "b": "siren", "parts": ["input", "head"], "from_b": ["head"]}
    model = initialize(made("plain"), "between", bias=0.5, **both)
    assert (model[0].bias == 0.5).all()
    assert (model[4].bias != 0.5).all()


@pytest.mark.parametrize("from_b", [[], ["head"]])
def test_the_parts_left_to_a_are_those_that_are_not_named_whatever_is_chosen(from_b: list[str]) -> None:
    chosen = initializer("between", a="gpt2", b="nanochat", parts=["qkv", "head"], from_b=from_b)
    assert chosen.apply(gpt(), seed=1).numbers == {"parts_left_to_a": 5}


def test_a_buffer_that_differs_is_refused_whichever_part_is_chosen(tmp_path: Path) -> None:
    trained = Residual()
    trained(torch.randn(8, 3, 6, 6))
    torch.save(trained.state_dict(), tmp_path / "weights.pt")
    both = {"a": "default", "b": {"name": "state_dict", "path": str(tmp_path / "weights.pt")}}
    with pytest.raises(ValueError, match=r"set the buffer branch\.1\.running_mean to different values"):
        initialize(Residual(), "between", **both, parts=["head"], from_b=["head"])
