"""Weights behind weight_norm, spectral_norm and orthogonal: set through them, or refused before anything is written."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from initbench.init import describe, initialize, initializer

NORMS = [parametrizations.weight_norm, parametrizations.spectral_norm]


def test_a_weight_norm_is_initialized_through() -> None:
    layer = parametrizations.weight_norm(nn.Linear(6, 4))
    initialize(layer, "orthogonal", gain=1.0)
    assert torch.allclose(layer.weight @ layer.weight.T, torch.eye(4), atol=1e-5)
    assert torch.allclose(layer.parametrizations.weight.original0.flatten(), torch.ones(4), atol=1e-5)
    initialize(layer, "default")
    assert layer.weight.abs().max() <= 1 / math.sqrt(6) + 1e-6


def test_a_parametrization_without_inverse_is_refused() -> None:
    class Symmetric(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight.triu() + weight.triu(1).T

    layer = nn.Linear(3, 3)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    with pytest.raises(ValueError, match="weight is parametrized by Symmetric, which has no right_inverse"):
        initialize(layer, "orthogonal")


@pytest.mark.parametrize("name", ["zeros", "constant"])
@pytest.mark.parametrize("norm", NORMS)
def test_a_weight_that_is_divided_by_its_norm_must_have_one(norm: Callable[..., nn.Module], name: str) -> None:
    model = nn.Sequential(nn.Linear(4, 3), norm(nn.Linear(3, 5)))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=rf"1\.weight is not a number once {name} has set it, as \w+Norm divides"):
        initialize(model, name, **({"value": 0.0} if name == "constant" else {}))
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("layer", [lambda: nn.Linear(30, 20), lambda: nn.Conv2d(4, 6, 3), lambda: nn.LSTM(4, 5)])
def test_spectral_norm_divides_by_the_norm_of_the_new_weight(layer: Callable[[], nn.Module]) -> None:
    module = layer()
    key = "weight_hh_l0" if isinstance(module, nn.LSTM) else "weight"
    norm = parametrizations.spectral_norm(module, key)
    again = copy.deepcopy(norm)
    before = copy.deepcopy(norm.state_dict())
    initializer("normal").plan(norm)
    describe(norm, "normal")
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())
    for model in (norm.train(), again.eval()):
        initialize(model, "normal", std=3.0)
        with torch.no_grad():
            original = model.parametrizations[key].original.flatten(1)
            sigma = torch.linalg.svdvals(original)
            model.eval()
            assert float(torch.linalg.svdvals(getattr(model, key).flatten(1))[0]) == pytest.approx(1, rel=0.1)
            assert sigma[0] > 3
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in norm.state_dict().items())


def test_an_orthogonal_weight_that_cannot_be_set_is_refused_before_anything_is_written() -> None:
    layer = parametrizations.orthogonal(nn.Linear(4, 4), orthogonal_map="matrix_exp", use_trivialization=False)
    model = nn.Sequential(nn.Linear(4, 4), layer)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"1\.weight is parametrized and cannot be set through it"):
        initialize(model, "normal")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("norm", NORMS)
def test_a_method_that_zeroes_what_is_divided_by_its_norm_is_refused(norm: Callable[..., nn.Module]) -> None:
    def zero(model: nn.Module) -> None:
        with torch.no_grad():
            model[1].weight = torch.zeros(5, 3)

    model = nn.Sequential(nn.Linear(4, 3), norm(nn.Linear(3, 5)))
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=r"zero left values in 1\.weight that are not finite"):
        initialize(model, zero)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("norm", NORMS)
def test_each_module_stays_in_the_mode_that_it_was_in(norm: Callable[..., nn.Module]) -> None:
    model = nn.Sequential(norm(nn.Linear(4, 3)), norm(nn.Linear(3, 5)))
    model[0].eval()  # as in fine-tuning, where a part is frozen
    before = {name: module.training for name, module in model.named_modules()}
    initializer("normal").plan(model)
    initialize(model, "normal")
    assert {name: module.training for name, module in model.named_modules()} == before
