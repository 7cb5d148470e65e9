"""First and last are the matrices that a model uses first and last, in whatever order it registers them."""

import pytest
import torch
from running import ReZero
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

import initbench
from initbench.init import initializer
from initbench.init.place import Place
from initbench.init.structure.parts import Parts


class Backwards(nn.Module):
    """Registers its layers in the reverse order."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.body, self.stem = nn.Linear(8, 3), ReZero(), nn.Linear(5, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(self.stem(x)))


@torch.no_grad()
def test_first_and_last_are_those_that_run_first_and_last() -> None:
    rules = [{"match": "first", "weight": 0.25}, {"match": "last", "weight": 0.5}]
    model = initbench.initialize(Backwards(), "normal", rules=rules)
    assert model.stem.weight.eq(0.25).all()
    assert model.head.weight.eq(0.5).all()
    assert not initbench.initialize(Backwards(), "fixup").head.weight.any()
    assert not initbench.initialize(Backwards(), "zero_hadamard").head.weight.any()
    rates = initbench.init.initializer("mup").learning_rates(Backwards(), adaptive=True)
    assert set(rates) == {"head.weight", "body.f.0.weight", "body.f.2.weight"}
    siren = initbench.initialize(Backwards(), "siren")
    assert 0.1 < siren.stem.weight.abs().max() <= 1 / 5
    assert siren.head.weight.abs().max() <= (6 / 8) ** 0.5 / 30


@torch.no_grad()
def test_a_rule_for_first_or_last_is_for_the_bias_of_that_layer_too() -> None:
    rules = [{"match": "last", "bias": -2}, {"match": "first", "weight": 0.25, "bias": 3}]
    model = initbench.initialize(Backwards(), "normal", bias=1, rules=rules)
    assert model.head.bias.eq(-2).all()
    assert model.stem.bias.eq(3).all()
    assert model.body.f[0].bias.eq(1).all()
    assert model.stem.weight.eq(0.25).all()
    assert not model.head.weight.eq(-2).any()
    wrapped = nn.utils.parametrizations.weight_norm(nn.Linear(3, 2))
    assert initbench.initialize(wrapped, "normal", rules=rules[:1]).bias.tolist() == [-2, -2]
    recurrent = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (-1, 3)), nn.LSTM(3, 4))
    filled = initbench.initialize(recurrent, "normal", rules=[{"match": "first", "weight": 0.5, "bias": 2}])[2]
    assert filled.weight_ih_l0.eq(0.5).all()
    assert not filled.weight_hh_l0.eq(0.5).any()
    assert filled.bias_ih_l0.eq(2).all()


def test_a_last_layer_without_a_bias_has_none_to_set() -> None:
    with pytest.raises(ValueError, match="rule for 'last' matches no bias"):
        initbench.initialize(nn.Linear(3, 2, bias=False), "normal", rules=[{"match": "last", "bias": -2}])


def test_a_matrix_that_is_used_twice_counts_once() -> None:
    layer, head = nn.Linear(8, 8), nn.Linear(8, 3)
    alone, headed = nn.Sequential(layer, nn.Tanh(), layer), nn.Sequential(layer, nn.Tanh(), layer, head)
    assert Place("0.weight", Parts(alone)).count == 1
    assert initbench.learning_rates(alone, "mup", adaptive=True, base_width=2) == {}
    assert Place("0.weight", Parts(headed)).count == 2
    assert initbench.learning_rates(headed, "mup", adaptive=True, base_width=2) == {"3.weight": 0.25}


class Tied(nn.Module):
    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.words, self.position = nn.Embedding(11, 8), nn.Parameter(torch.zeros(1, 16, 8))
        self.block, self.head = ReZero(), nn.Linear(8, 11, bias=bias)
        self.head.weight = self.words.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.words(ids) + self.position[:, : ids.shape[1]]))


@pytest.mark.parametrize("functional", [False, True])
def test_the_last_layer_of_a_tied_head_is_the_embedding(functional: bool) -> None:
    class Functional(Tied):
        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return F.linear(self.block(self.words(ids)), self.words.weight)

    model = Functional() if functional else Tied()
    assert [found.name for found in Parts(model).matrices] == ["block.f.0.weight", "block.f.2.weight", "words.weight"]
    rules = [{"match": "last", "weight": 0}]
    with pytest.raises(ValueError, match=r"the last layer shares its weight with the embedding words\.weight"):
        initbench.initialize(model, "normal", rules=rules)
    with pytest.raises(ValueError, match=r"fixup sets the classifier to zero, and its weight is also that of the emb"):
        initbench.initialize(model, "fixup")
    assert initbench.initialize(model, "zero_hadamard").words.weight.std() > 0.5


def test_a_tied_head_may_have_a_bias_of_its_own() -> None:
    rules = [{"match": "last", "bias": -2}]
    model = initbench.initialize(Tied(bias=True), "normal", rules=rules)
    assert model.head.bias.eq(-2).all()
    assert not model.block.f[0].bias.any()
    with pytest.raises(ValueError, match="rule for 'last' matches no bias"):
        initbench.initialize(Tied(), "normal", rules=rules)


def test_parameters_are_listed_by_their_first_use() -> None:
    names = [found.name for found in Parts(Tied()).parameters]
    assert names[:3] == ["words.weight", "position", "block.f.0.weight"]


class Picky(nn.Module):
    """Runs on nothing but sevens, which no guess of its inputs finds; its layers may be registered backwards."""

    def __init__(self, *, backwards: bool) -> None:
        super().__init__()
        layers = {"stem": nn.Linear(3, 8), "body": nn.Linear(8, 8), "head": nn.Linear(8, 2)}
        for name in reversed(layers) if backwards else layers:
            self.add_module(name, layers[name])
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.eq(7).all():
            raise ValueError("not seven")
        return self.head(self.relu(self.body(self.relu(self.stem(x)))))


def test_what_cannot_be_guessed_is_run_on_the_example() -> None:
    """For the plan, the weights, and the factors of an optimizer alike."""
    example, mup = torch.full((2, 3), 7.0), initializer("mup", base_width=4)
    ordered, backwards = Picky(backwards=False), Picky(backwards=True)

    def by_name(factors: dict[str, object]) -> list[tuple[str, object]]:
        return sorted(factors.items())

    for adaptive in (False, True):
        found = [
            (
                by_name(mup.learning_rates(model, adaptive=adaptive, example=example)),
                by_name(dict(mup.optimizer_factors(model, adaptive=adaptive, example=example))),
            )
            for model in (ordered, backwards)
        ]
        assert found[0] == found[1]
    for init in (mup, initializer("normal", rules=[{"match": "last", "weight": 0.5}])):
        plans = [init.plan(model, example) for model in (ordered, backwards)]
        first, second = ({one.parameter.name: one.scheme.label for one in plan} for plan in plans)
        assert first == second
        for model in (ordered, backwards):
            init.apply(model, seed=0, example=example)
        weights = ordered.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in backwards.state_dict().items())
