"""Functions as schemes: torch's own, lambdas, and what is wrong with those that cannot be one."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from initbench.init import describe, initialize, initializer, rows


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 20), nn.ReLU(), nn.Linear(20, 7))


def drawn(init: Any, seed: int = 0, **arguments: Any) -> Tensor:
    weight: Tensor = initialize(layers(), init, seed=seed, **arguments)[0].weight.detach()
    return weight


def test_a_function_of_torch_is_a_scheme_as_it_stands() -> None:
    bound = math.sqrt(6 / 32)
    weight = drawn(nn.init.xavier_uniform_)
    assert 0.9 * bound < weight.abs().max() <= bound
    assert torch.equal(drawn("xavier_uniform"), drawn("xavier_uniform"))
    assert torch.allclose(drawn(nn.init.xavier_uniform_, gain=2.0), 2 * weight)
    assert drawn({"_target_": "torch.nn.init.xavier_uniform_"}).equal(weight)
    assert rows(initializer(nn.init.xavier_uniform_).apply(layers(), seed=0))[0]["scheme"] == "xavier_uniform_"


def test_a_lambda_fills_what_it_is_given() -> None:
    model = initialize(layers(), lambda tensor: tensor.fill_(3), bias=1)
    assert (model[0].weight == 3).all()
    assert (model[2].bias == 1).all()
    assert describe(layers(), lambda tensor: tensor.fill_(3))["scheme"].tolist() == ["<lambda>", "0"] * 2


def test_a_function_may_be_a_policy_and_a_rule() -> None:
    rules = [{"match": "0", "weight": lambda tensor: tensor.fill_(2)}]
    model = initialize(layers(), "zeros", bias=nn.init.ones_, rules=rules)
    assert (model[0].weight == 2).all()
    assert (model[2].weight == 0).all()
    assert (model[2].bias == 1).all()


@pytest.mark.parametrize("own", [nn.init.xavier_uniform_, lambda tensor: torch.randn(tensor.shape, out=tensor)])
def test_draws_from_the_global_generator_follow_the_seed_and_leave_it_alone(own: Any) -> None:
    models = [layers() for _ in range(3)]
    before = torch.get_rng_state()
    for model, seed in zip(models, (0, 0, 1), strict=True):
        initialize(model, own, seed=seed)
        torch.manual_seed(5)  # nothing may depend on it
        torch.set_rng_state(before)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(models[0][0].weight, models[1][0].weight)
    assert not torch.equal(models[0][0].weight, models[2][0].weight)


def test_what_a_function_asks_for_by_name_it_is_given() -> None:
    seen = []

    def own(tensor: Tensor, generator: torch.Generator, layer: Any, *, scale: float = 1.0) -> None:
        seen.append((layer.name, layer.fan_in))
        tensor.normal_(0, scale / math.sqrt(layer.fan_in), generator=generator)

    once = drawn(own, scale=2.0)
    assert torch.equal(drawn(own), once / 2)
    assert ("0.weight", 12) in seen


def test_a_callable_object_and_a_partial() -> None:
    class Fill:
        def __call__(self, tensor: Tensor) -> None:
            tensor.fill_(4)

    assert (drawn(Fill()) == 4).all()
    assert describe(layers(), Fill())["scheme"][0] == "Fill"
    assert drawn(partial(nn.init.normal_, std=1e-3)).abs().max() < 0.01


def first_is_x(x: Tensor) -> None: ...


def takes_nothing() -> None: ...


def scaled(tensor: Tensor, *, scale: float) -> None:
    tensor.fill_(scale)


def half(tensor: Tensor) -> None:
    tensor[: len(tensor) // 2] = 0


@pytest.mark.parametrize(
    "function, arguments, message",
    [
        (first_is_x, {}, "first_is_x takes x first; name its first argument tensor .*module .*or model"),
        (takes_nothing, {}, "takes_nothing takes nothing first"),
        (nn.Linear, {}, "Linear takes in_features first"),
        (torch.Tensor.zero_, {}, "the arguments of zero_ cannot be read"),
        (scaled, {}, "scale of scaled is missing: scaled has no default for it"),
        (scaled, {"scale": 1.0, "scael": 1}, "unknown key scael of scaled. Did you mean 'scale'"),
        (scaled, {"scale": "much"}, "scale of scaled must be a number, got 'much'"),
        (torch.zeros_like, {}, "takes input first|cannot be read"),
        (lambda tensor: torch.randn_like(tensor), {}, "<lambda> returns a new tensor; it must fill the one"),
        (lambda tensor: None, {}, r"<lambda> leaves values of .* unset"),
        (lambda tensor: tensor.mul_(0.5), {}, "whose old values it is not given"),
        (half, {}, "half leaves values of .* unset"),
        ({"_target_": "torch.nn.init"}, {}, "'torch.nn.init' is a module, not a function"),
        (
            {"_target_": "torch.nn.init.no_such"},
            {},
            "no_such' cannot be imported: .* no attribute",
        ),
        ({"_target_": "no_such_module.f"}, {}, "init._target_='no_such_module.f' cannot be imported: No module named"),
        ({"std": 1}, {}, "names no initializer: add name: or _target_:"),
    ],
)
def test_what_cannot_be_a_scheme_is_refused_and_nothing_is_written(
    function: Any, arguments: dict[str, Any], message: str
) -> None:
    model = layers()
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=message):
        initialize(model, function, **arguments)
    assert all(map(torch.equal, before, model.parameters()))


def test_an_error_of_ones_own_names_the_parameter_and_its_type() -> None:
    def broken(tensor: Tensor) -> None:
        raise KeyError("mine")

    with pytest.raises(ValueError, match=r"broken fails on 0\.weight: KeyError: 'mine'"):
        initialize(layers(), broken)


def test_draws_from_the_global_generator_beside_ones_own_follow_the_seed_too() -> None:
    def both(tensor: Tensor, generator: torch.Generator) -> None:
        tensor.normal_(generator=generator).add_(torch.rand(()))

    for init, arguments in ((both, {}), (nn.init.sparse_, {"sparsity": 0.5})):
        model = layers()
        before = torch.get_rng_state()
        initialize(model, init, **arguments)
        assert torch.equal(torch.get_rng_state(), before)
        assert torch.equal(drawn(init, **arguments), model[0].weight)
        assert not torch.equal(drawn(init, seed=1, **arguments), model[0].weight)


@pytest.mark.parametrize("change", [lambda tensor: tensor.resize_(2, 2), lambda tensor: tensor.set_(torch.zeros(3))])
def test_a_scheme_sets_values_and_not_the_tensor(change: Any) -> None:
    def own(tensor: Tensor) -> None:
        change(tensor)
        tensor.zero_()

    with pytest.raises(ValueError, match=r"0\.weight: own gives the tensor another shape or memory; it must set"):
        initialize(layers(), own)
