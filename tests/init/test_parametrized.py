"""Weights behind weight_norm, spectral_norm and orthogonal: set through them, or refused before anything is written."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from initbench.init import Batch, describe, initialize, initializer, rows

NORMS = [parametrizations.weight_norm, parametrizations.spectral_norm]


def test_a_weight_norm_is_initialized_through() -> None:
    layer = parametrizations.weight_norm(nn.Linear(6, 4))
    initialize(layer, "orthogonal", gain=1.0)
    assert torch.allclose(layer.weight @ layer.weight.T, torch.eye(4), atol=1e-5)
    assert torch.allclose(layer.parametrizations.weight.original0.flatten(), torch.ones(4), atol=1e-5)
    initialize(layer, "default")
    assert layer.weight.abs().max() <= 1 / math.sqrt(6) + 1e-6


@pytest.mark.parametrize("norm", [*NORMS, parametrizations.orthogonal])
def test_a_rule_for_a_type_matches_its_parametrized_layers(norm: Callable[..., nn.Module]) -> None:
    model = nn.Sequential(norm(nn.Linear(4, 4)), nn.Linear(4, 4))
    plan = initializer("normal", rules=[{"match": "Linear", "weight": "orthogonal"}]).plan(model)
    assert {assignment.rule for assignment in plan if assignment.parameter.role == "weight"} == {"rule Linear"}


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


def test_completing_an_orthogonal_weight_follows_the_seed_and_leaves_the_global_generator_alone() -> None:
    models = [parametrizations.orthogonal(nn.Linear(5, 3)) for _ in range(2)]
    for number, model in enumerate(models):
        torch.manual_seed(number)
        before = torch.get_rng_state()
        initialize(model, "orthogonal")
        assert torch.equal(torch.get_rng_state(), before)
    one, other = (model.state_dict() for model in models)
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_a_method_sets_an_orthogonal_weight_whose_state_is_a_buffer() -> None:
    def identity(model: nn.Module, batch: Batch) -> None:
        model[1].weight = torch.eye(3, 4)

    model = nn.Sequential(nn.Linear(6, 4), parametrizations.orthogonal(nn.Linear(4, 3)))
    outcome = initializer(identity).apply(model, seed=0, batch=Batch(torch.zeros(2, 6)))
    assert torch.allclose(model[1].weight, torch.eye(3, 4), atol=1e-6)
    assert "identity" in rows(outcome)[-1]["scheme"]


@pytest.mark.parametrize("with_data", [True, False])
def test_spectral_norm_divides_by_the_norm_of_what_a_method_has_set(with_data: bool) -> None:
    def wide(model: nn.Module) -> None:
        model[1].weight = torch.diag(torch.tensor([1.0, 2.0, 3.0, 9.0]))

    def wide_from_data(model: nn.Module, batch: Batch) -> None:
        wide(model)

    model = nn.Sequential(nn.Linear(6, 4), parametrizations.spectral_norm(nn.Linear(4, 4)))
    initializer(wide_from_data if with_data else wide).apply(model, seed=0, batch=Batch(torch.zeros(2, 6)))
    assert torch.allclose(model.eval()[1].weight.diagonal(), torch.tensor([1.0, 2.0, 3.0, 9.0]) / 9, atol=1e-3)


def test_the_forward_passes_of_a_method_leave_the_estimate_of_spectral_norm_alone() -> None:
    def run(model: nn.Module, batch: Batch) -> None:
        for _ in range(50):
            model(batch.inputs)

    models = [nn.Sequential(parametrizations.spectral_norm(nn.Linear(30, 20))) for _ in range(2)]
    initialize(models[0], {"_target_": run, "weight": "normal"}, batch=torch.zeros(2, 30))
    initialize(models[1], "normal")
    assert torch.equal(models[0][0].parametrizations.weight[0]._u, models[1][0].parametrizations.weight[0]._u)


@pytest.mark.parametrize("error", [AssertionError("no"), KeyError("no"), TypeError("no")])
def test_whatever_a_right_inverse_raises_names_the_weight(error: Exception) -> None:
    class Fails(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight

        def right_inverse(self, weight: torch.Tensor) -> torch.Tensor:
            if weight.any():
                raise error
            return weight

    layer = nn.Linear(3, 3)
    nn.init.zeros_(layer.weight)
    parametrize.register_parametrization(layer, "weight", Fails())
    with pytest.raises(ValueError, match=r"^weight is parametrized and cannot be set through it: \w+Error: '?no"):
        initialize(layer, "orthogonal")
