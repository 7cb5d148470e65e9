"""Residual branches of models that cannot be run on a guess: known by names, refused, or none in a plain chain."""

import copy

import pytest
import torch
from running import Loop, Residual, ReZero
from torch import nn

import initbench
from initbench.init.structure.parts import find_branches


class Keyed(nn.Module):
    """Cannot be run on a guess: it wants a dictionary."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.body(inputs["x"])


@pytest.mark.parametrize("name", ["fixup", "zero_gamma", "rezero", "zero_hadamard", "idinit", "convnext", "vit_jax"])
def test_what_needs_branches_is_refused_where_none_can_be_told(name: str) -> None:
    model = Keyed(ReZero())
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=f"^{name}: residual branches are found by running the model, .* pass batch="):
        initbench.initialize(model, name)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_known_names_tell_the_branches_of_a_model_that_cannot_be_run() -> None:
    assert [branch.name for branch in find_branches(Keyed(Residual(8)))] == ["body.branch"]
    model = initbench.initialize(Keyed(Residual(8)), "zero_hadamard")
    assert not model.body.branch[2].weight.any()


@pytest.mark.parametrize("name", ["zero_hadamard", "idinit"])
@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Unflatten(1, (3, 7))),  # fails on any input
        nn.ModuleList([nn.Linear(3, 3), nn.Conv2d(3, 3, 3)]),  # has no forward
        Loop(),
    ],
    ids=["a chain", "a chain that does not run", "a list", "a model of one's own"],
)
def test_models_without_skip_connections_are_initialized(model: nn.Module, name: str) -> None:
    outcome = initbench.init.initializer(name).apply(copy.deepcopy(model), seed=0)
    assert outcome.numbers == {"branches": 0}


def test_the_batch_is_what_the_model_is_run_on() -> None:
    class Picky(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = ReZero()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.shape[1:] == (3, 7, 8)
            return self.block(x)

    with pytest.raises(ValueError, match="does not run with inputs of shape"):
        initbench.initialize(Picky(), "zero_hadamard")
    model = initbench.initialize(Picky(), "zero_hadamard", batch=torch.ones(4, 3, 7, 8))
    assert not model.block.f[2].weight.any()
