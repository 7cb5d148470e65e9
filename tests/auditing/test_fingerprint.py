"""A model that a recipe has initialized is known by it."""

import pytest
import torch
from torch import nn

from initbench import initialize
from initbench.auditing.fingerprint import RECIPES, Fingerprint, fingerprint, nearest
from initbench.auditing.subject import Subject
from initbench.model import GPT


def gpt(init: object = None, **options: object) -> nn.Module:
    sizes = {"vocab_size": 100, "context_length": 32, "depth": 4, "width": 64, "heads": 4, "tied": False}
    model = GPT(**{**sizes, **options})  # type: ignore[arg-type]  # of several types
    return model if init is None else initialize(model, init, seed=5)  # type: ignore[arg-type]  # a name or a mapping


def fingerprints(model: nn.Module) -> list[Fingerprint]:
    """The nearest first."""
    left = [found for recipe in RECIPES if (found := fingerprint(Subject(model), recipe)) is not None]
    ordered = []
    while first := nearest(left):
        ordered.append(first)
        left.remove(first)
    return ordered


@pytest.mark.parametrize(
    "init", ["default", "gpt2", "llama_depth", "llama_depth_fixed", "mitchell", "nanochat", "wang", "xavier_uniform"]
)
def test_it_follows_the_recipe_that_made_it(init: str) -> None:
    first, second, *_ = fingerprints(gpt(init, mlp="swiglu"))
    assert first.followed == first.parameters
    assert first.recipe == init
    assert second.followed < second.parameters
    assert first.departures == []


def test_where_it_departs_is_said() -> None:
    """OpenAI's positions are 0.01; that of transformers, and of conf/init/gpt2.yaml, 0.02."""
    first, *_ = fingerprints(gpt({"name": "gpt2", "position_std": 0.01}))
    assert first.recipe == "gpt2"
    assert str(first).endswith("; position: normal 0.01, not normal 0.02")


def test_a_model_without_residual_branches_has_one_too() -> None:
    model = initialize(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64)), "kaiming_normal", seed=0)
    first, *_ = fingerprints(model)
    assert (first.recipe, first.followed) == ("kaiming_normal", 4)


def departures(model: nn.Module, recipe: str) -> tuple[int, int, list[str]]:
    found = fingerprint(Subject(model), recipe)
    assert found is not None
    return found.followed, found.parameters, [str(each) for each in found.departures]


def test_each_role_that_departs_is_named_with_what_it_is_and_what_it_would_be() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    initialize(model, "kaiming_normal", seed=0)
    with torch.no_grad():
        model[4].weight.mul_(2)
        model[0].bias.fill_(0.5)
        model[2].bias.fill_(0.5)
        model[4].bias.fill_(3.0)
    followed, number, said = departures(model, "kaiming_normal")
    assert (followed, number) == (2, 6)
    assert said == ["bias: constant 0.5, not constant 0", "head: normal 0.36, not normal 0.18"]


def test_two_kinds_in_one_role_are_mixed() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    initialize(model, "kaiming_normal", seed=0)
    nn.init.constant_(model[0].weight, 0.5)
    nn.init.uniform_(model[2].weight, -0.5, 0.5, generator=torch.Generator().manual_seed(0))
    (said,) = departures(model, "kaiming_normal")[2]
    assert said.startswith("weight: mixed 0.39, not normal 0.18")


def test_the_roles_of_a_transformer() -> None:
    packed, apart = gpt("gpt2"), gpt("gpt2", projections="apart")
    with torch.no_grad():
        for model in (packed, apart):
            for parameter in model.parameters():
                parameter.mul_(3)
    roles = [[said.partition(":")[0] for said in departures(model, "gpt2")[2]] for model in (packed, apart)]
    assert {"token embedding", "position", "head", "inner", "out"} <= {*roles[0]} & {*roles[1]}
    assert "qkv" in roles[0]
    assert {"query", "key", "value"} <= {*roles[1]}


def test_a_recipe_that_cannot_be_applied_has_no_fingerprint() -> None:
    assert fingerprint(Subject(nn.Linear(8, 8)), "gpt2") is None
    assert nearest([None]) is None


def test_the_nearest_follows_most_and_is_the_first_of_several() -> None:
    some = [Fingerprint(name, followed, 9, []) for name, followed in (("a", 3), ("b", 5), ("c", 5), ("d", 4))]
    found = nearest([None, *some])
    assert found is not None
    assert found.recipe == "b"
