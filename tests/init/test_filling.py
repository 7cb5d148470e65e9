"""How parameters are filled: what is tried before, what is drawn, and what is left as it was."""

import hashlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init import Initializer, initialize, rows
from initbench.init.assignment import stream
from initbench.init.gain import Nonlinearity, named
from initbench.init.layer import Layer
from initbench.init.nonlinearity import nonlinearity_of
from initbench.init.roles import walk
from initbench.model import GPT


def test_a_stream_is_seeded_by_the_hash_of_seed_and_name() -> None:
    """The definition in its docstring, by hand."""
    digest = hashlib.sha256(b"7/layer.weight").digest()
    seed = sum(byte << 8 * place for place, byte in enumerate(digest[:8])) // 2
    expected = torch.randn(5, generator=torch.Generator().manual_seed(seed))
    assert torch.equal(torch.randn(5, generator=stream(7, "layer.weight")), expected)


class OnePlusRMSNorm(nn.Module):
    """A norm that multiplies by 1 + weight, as Gemma's."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((8,), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (1 + self.weight)


@pytest.mark.parametrize("scale, weight", [(1, 0.0), (2.5, 1.5), (0, -1.0), ("default", 0.25)])
def test_a_scale_is_what_the_norm_multiplies_by(scale: Any, weight: float) -> None:
    model = initialize(nn.Sequential(nn.Linear(8, 8), OnePlusRMSNorm()), "normal", norm_scale=scale)
    assert model[1].weight.eq(weight).all()
    (row,) = (
        row
        for row in rows(Initializer("normal", norm_scale=scale).apply(model, seed=0))
        if row["parameter"] == "1.weight"
    )
    assert row["scheme"].endswith(" - 1") == (scale != "default")


TOO_LARGE = {"_target_": "torch.nn.init.constant_", "val": 1e5}


def test_what_is_infinite_in_the_type_of_a_parameter_is_refused() -> None:
    layer = nn.Linear(3, 2).half()
    before = layer.weight.clone()
    with pytest.raises(ValueError, match="sets values of weight to infinity in float16"):
        initialize(layer, TOO_LARGE)
    assert torch.equal(layer.weight, before)
    assert initialize(layer.float(), TOO_LARGE).weight.eq(1e5).all()


def refuses(when: Callable[[tuple[int, ...]], bool]) -> Callable[[Tensor, Layer], None]:
    def scheme(tensor: Tensor, layer: Layer) -> None:
        if when(layer.shape):
            raise ValueError(f"{layer.name} is refused")
        tensor.fill_(0.5)

    return scheme


KINDS = {
    "wide": (lambda shape: len(shape) == 2 and shape[0] < shape[1], lambda: [nn.Linear(2, 3), nn.Linear(9, 8)]),
    "tall": (lambda shape: len(shape) == 2 and shape[0] > shape[1], lambda: [nn.Linear(3, 2), nn.Linear(8, 9)]),
    "of a kernel": (lambda shape: shape[2:] == (3, 3), lambda: [nn.Conv2d(2, 2, 1), nn.Conv2d(4, 4, 3)]),
    "of a signal": (lambda shape: len(shape) == 3, lambda: [nn.Conv2d(2, 2, 1), nn.Conv1d(4, 4, 1)]),
}


@pytest.mark.parametrize("when, layers", KINDS.values(), ids=KINDS.keys())
def test_a_shape_that_a_scheme_refuses_is_told_before_anything_is_written(
    when: Callable[[tuple[int, ...]], bool], layers: Callable[[], list[nn.Module]]
) -> None:
    model = nn.ModuleList(layers())
    before = [parameter.clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=r"1\.weight is refused"):
        Initializer(refuses(when)).plan(model)
    with pytest.raises(ValueError, match=r"1\.weight is refused"):
        initialize(model, refuses(when))
    assert all(map(torch.equal, before, model.parameters()))


def test_each_of_two_schemes_is_tried() -> None:
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(8, 8)])
    rules = [{"match": "1", "weight": refuses(lambda shape: True)}]
    with pytest.raises(ValueError, match=r"1\.weight is refused"):
        Initializer(refuses(lambda shape: False), rules=rules).plan(model)


def of_others(tensor: Tensor) -> None:
    with torch.no_grad():
        values = [random.random(), float(np.random.random()), float(torch.rand(()))]  # noqa: NPY002 - what it is about
        tensor.copy_(torch.tensor(values).expand_as(tensor))


def test_a_function_that_draws_from_global_generators_is_seeded_and_leaves_them() -> None:
    layers = [nn.Linear(3, 2) for _ in range(3)]
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002 - as above
    drawn = [
        initialize(layer, of_others, seed=seed).weight.detach()[0]
        for layer, seed in zip(layers, (0, 1, 0), strict=True)
    ]
    assert torch.equal(drawn[0], drawn[2])
    assert (drawn[0] != drawn[1]).all()
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002 - as above
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_function_of_ones_own_has_its_own_gain() -> None:
    x = torch.tensor([-2.0, 3.0])
    assert named("leaky_relu", 0.5)(x).tolist() == [-1.0, 3.0]
    own = Nonlinearity("tanh", function=lambda x: 2 * x)
    assert own.gain == pytest.approx(0.5, rel=1e-6)


class Nearly(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.silu(x) + 0.01 * torch.sin(x)


def test_what_is_close_to_a_known_function_is_not_it() -> None:
    assert nonlinearity_of(Nearly()).name == "Nearly"


def test_rules_match_types_modules_and_parameters_and_the_first_counts() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.LSTM(2, 2))
    rules = [
        {"match": "1.bias", "bias": 3},
        {"match": "Linear", "weight": 0.5, "bias": 4},
        {"match": "2", "weight": 0.25, "recurrent_hidden": 0.75},
    ]
    initialize(model, "zeros", rules=rules)
    assert [layer.bias.tolist() for layer in model[:2]] == [[4, 4], [3, 3]]
    assert [layer.weight.unique().tolist() for layer in model[:2]] == [[0.5], [0.5]]
    assert model[2].weight_ih_l0.unique().tolist() == [0.25]
    assert model[2].weight_hh_l0.unique().tolist() == [0.75]


def test_the_generator_that_a_function_gets_is_the_parameters_own_though_it_draws_from_others_too() -> None:
    def both(tensor: Tensor, generator: torch.Generator) -> None:
        torch.rand(7)
        tensor.normal_(generator=generator)

    layer = initialize(nn.Linear(3, 2), both, seed=5)
    expected = torch.empty(2, 3).normal_(generator=stream(5, "weight"))
    assert torch.equal(layer.weight, expected)


def test_of_a_method_that_sees_data_only_parameters_are_kept() -> None:
    """Running statistics that its passes leave are those of other weights."""

    def sees_data(model: nn.Module, batch: Any) -> None:
        model(batch.inputs)
        model.weight.data.fill_(3)

    batch = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    model = initialize(nn.BatchNorm1d(4), sees_data, batch=batch)
    assert model.weight.eq(3).all()
    assert (model.running_mean.tolist(), int(model.num_batches_tracked)) == ([0.0] * 4, 0)


def test_spectral_norm_knows_the_weight_that_a_method_sets() -> None:
    """Its estimate is the largest singular value, so that the weight has one of 1."""

    def sets_a_diagonal(model: nn.Module) -> None:
        with torch.no_grad():
            model.parametrizations.weight.original.copy_(torch.diag(torch.tensor([4.0, 1.0, 0.5, 0.1])))

    layer = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
    initialize(layer, sets_a_diagonal)
    assert float(torch.linalg.matrix_norm(layer.eval().weight.detach(), 2)) == pytest.approx(1, rel=0.02)


def test_the_innermost_layer_that_ran_is_named() -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 2))

        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("it has a bad day")

    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(Fails()))

    def runs(model: nn.Module, batch: Any) -> None:
        model(batch.inputs)

    with pytest.raises(ValueError, match=r"^layer 1\.0: it has a bad day$"):
        initialize(model, runs, batch=torch.zeros(3, 2))


def test_expected_deviations_of_a_method_are_in_the_table() -> None:
    model = GPT(vocab_size=20, context_length=8, depth=2, width=16, heads=2)
    found = {row["parameter"]: row for row in rows(Initializer.from_config({"name": "gpt2"}).apply(model, seed=0))}
    assert found["embedding.weight"]["std_expected"] == pytest.approx(0.02)
    assert found["blocks.block1.attention.proj.weight"]["std_expected"] == pytest.approx(0.02 / 2)
    assert found["norm.weight"]["std_expected"] == 0


@pytest.mark.parametrize(
    "name, layer, role",
    [
        ("qkv", nn.Linear(4, 12), "attention_in"),
        ("c_attn", nn.Linear(4, 12), "attention_in"),
        ("qkv", nn.Linear(4, 8), "weight"),
        ("other", nn.Linear(4, 12), "weight"),
    ],
)
def test_a_packed_projection_is_told_by_its_name_and_its_shape(name: str, layer: nn.Linear, role: str) -> None:
    model = nn.ModuleDict({"block": nn.ModuleDict({name: layer})})
    assert [found.role for found in walk(model)] == [role, "bias"]
    blocks = [assignment.layer.blocks for assignment in Initializer("normal").plan(model)]
    assert blocks == ([3, 3] if role == "attention_in" else [1, 1])


def test_a_function_that_fails_halfway_leaves_the_model_as_it_was() -> None:
    """It is tried on the smallest matrix of a kind, and works there."""
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(8, 8)])
    before = [parameter.clone() for parameter in model.parameters()]
    fails = refuses(lambda shape: shape == (8, 8))
    Initializer(fails).plan(model)
    with pytest.raises(ValueError, match=r"1\.weight is refused"):
        initialize(model, fails)
    assert all(map(torch.equal, before, model.parameters()))
    half = nn.ModuleList([nn.Linear(2, 2), nn.Linear(8, 8)]).half()
    before = [parameter.clone() for parameter in half.parameters()]

    def grows(tensor: Tensor) -> Tensor:
        return tensor.fill_(10.0 ** len(tensor))

    with pytest.raises(ValueError, match=r"sets values of 1\.weight to infinity in float16"):
        initialize(half, grows)
    assert all(map(torch.equal, before, half.parameters()))
