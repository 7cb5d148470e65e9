"""A model that a recipe has initialized is known by it."""

import pytest
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
