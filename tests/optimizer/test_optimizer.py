"""Parameter groups, and every file of conf/optimizer."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from configs import compose_config, options
from torch import nn
from torch.nn.utils import parametrizations
from torch.optim import Optimizer

from initbench import optimizer
from initbench.init import Factors
from initbench.optimizer.builder import parameter_groups


@pytest.fixture
def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.GRU(2, 2), nn.PReLU(), nn.Embedding(3, 2))


def config(**changes: Any) -> dict[str, Any]:
    return {**compose_config("optimizer=sgd")["optimizer"], **changes}


def no_factors(adaptive: bool) -> dict[str, Factors]:
    return {}


def build(**changes: Any) -> Callable[[nn.Module], Optimizer]:
    return lambda model: optimizer.build(config(**changes))(model, no_factors)


def test_decay_is_for_weights_only(model: nn.Module) -> None:
    decayed, spared = build(weight_decay=0.1)(model).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert [names[id(p)] for p in decayed["params"]] == ["0.weight", "2.weight_ih_l0", "2.weight_hh_l0", "4.weight"]
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(spared["params"]) == len(names)


def test_decay_all(model: nn.Module) -> None:
    (group,) = build(weight_decay=0.1, decay="all")(model).param_groups
    assert len(group["params"]) == len(list(model.parameters()))
    assert group["weight_decay"] == 0.1


def test_parametrized_and_frozen_parameters() -> None:
    layer = parametrizations.weight_norm(nn.Linear(3, 2))
    decayed, spared = build()(layer).param_groups
    assert len(decayed["params"]) == 2  # the norm and the direction that make up the weight
    assert spared["params"] == [layer.bias]
    layer.bias.requires_grad_(False)
    assert len(build()(layer).param_groups) == 1


@pytest.mark.parametrize("name", options("optimizer"))
def test_every_file_takes_a_step(name: str) -> None:
    settings = compose_config(f"optimizer={name}")["optimizer"]
    assert settings["name"] == name
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    chosen = optimizer.build(settings)(model, no_factors)
    model(torch.ones(1, 3)).sum().backward()
    chosen.step()
    assert not any(map(torch.equal, model.parameters(), before))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"_target_": "torch.optim.SGDD"}, "optimizer._target_='torch.optim.SGDD' cannot be imported.* mean 'SGD'"),
        ({"momentun": 0.9}, "unknown key optimizer.momentun. Did you mean 'momentum'"),
        ({"momentum": "much"}, "optimizer.momentum must be a number of at least 0, got 'much'"),
        (
            {"lr_multipliers": {"norm_shfit": 64}},
            "role in optimizer.lr_multipliers 'norm_shfit'. Did you",
        ),
    ],
)
def test_wrong_values_are_clear_errors(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        optimizer.build(config(**changes))


def test_learning_rates_are_multiplied_by_what_the_initializer_says(model: nn.Module) -> None:
    """A group for each multiplier and decay; multiplier 1 first, whose lr is the schedule's."""
    asked = []

    def rates(adaptive: bool) -> dict[str, Factors]:
        asked.append(adaptive)
        return {"0.weight": Factors(lr=0.1), "0.bias": Factors(lr=0.1), "3.weight": Factors(lr=0.0)}

    made = optimizer.build(config(lr=0.5, weight_decay=0.01))(model, rates)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    seen = {
        (group["lr"], group["weight_decay"], tuple(names[id(p)] for p in group["params"]))
        for group in made.param_groups
        if group["lr_multiplier"] != 1
    }
    assert seen == {(0.05, 0.01, ("0.weight",)), (0.05, 0.0, ("0.bias",)), (0.0, 0.0, ("3.weight",))}
    assert made.param_groups[0]["lr"] == 0.5
    assert sum(len(group["params"]) for group in made.param_groups) == len(names)
    optimizer.build(compose_config("optimizer=adamw")["optimizer"])(model, rates)
    assert asked == [False, True]


@pytest.mark.parametrize("name, adaptive", [("PlainSGD", False), ("SGD", False), ("SGDLike", True), ("Lion", True)])
def test_an_optimizer_of_ones_own_is_adaptive_unless_its_name_ends_in_sgd(
    name: str, adaptive: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"own_{name.lower()}.py").write_text(f"import torch\nclass {name}(torch.optim.SGD):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    asked = []
    make = optimizer.build({"_target_": f"own_{name.lower()}.{name}", "name": "mine", "lr": 0.1})
    make(nn.Linear(2, 2), lambda adaptive: asked.append(adaptive) or {})
    assert asked == [adaptive]


def test_learning_rates_are_multiplied_by_role_too(model: nn.Module) -> None:
    made = optimizer.build(config(lr=0.5, lr_multipliers={"norm_shift": 64, "bias": 0.5}))(
        model, lambda adaptive: {"0.bias": Factors(lr=0.1)}
    )
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    of_each = {names[id(p)]: group["lr"] for group in made.param_groups for p in group["params"]}
    changed = {"0.bias": 0.025, "1.bias": 32.0, "2.bias_ih_l0": 0.25, "2.bias_hh_l0": 0.25}
    assert of_each == pytest.approx({**dict.fromkeys(of_each, 0.5), **changed})


def test_eps_and_weight_decay_are_multiplied_by_what_the_initializer_says(model: nn.Module) -> None:
    """Each group has the optimizer's own settings times its factors; biases are not decayed at any factor."""
    settings = compose_config("optimizer=adamw", "optimizer.eps=1e-6", "optimizer.weight_decay=0.1")["optimizer"]
    factors = {"0.weight": Factors(lr=0.5, eps=0.25, weight_decay=2), "0.bias": Factors(eps=4, weight_decay=3)}
    made = optimizer.build({**settings, "lr": 0.01})(model, lambda adaptive: factors)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    of_each = {
        names[id(p)]: (group["lr"], group["eps"], group["weight_decay"])
        for group in made.param_groups
        for p in group["params"]
    }
    assert of_each.pop("0.weight") == pytest.approx((0.005, 2.5e-7, 0.2), rel=1e-12)
    assert of_each.pop("0.bias") == pytest.approx((0.01, 4e-6, 0), rel=1e-12)
    assert set(of_each.values()) == {(0.01, 1e-6, 0.1), (0.01, 1e-6, 0.0)}


def test_eps_and_weight_decay_of_a_group_are_what_its_step_uses() -> None:
    """The first step of AdamW by hand: p (1 - lr decay) - lr g / (|g| + eps)."""
    layer = nn.Linear(1, 1, dtype=torch.float64)
    factors = {"weight": Factors(lr=0.5, eps=3e7, weight_decay=4), "bias": Factors(eps=2e7)}
    settings = {**compose_config("optimizer=adamw", "optimizer.weight_decay=0.1")["optimizer"], "lr": 0.2}
    chosen = optimizer.build(settings)(layer, lambda adaptive: factors)
    weight, bias = layer.weight.item(), layer.bias.item()
    (2 * layer(torch.ones(1, 1, dtype=torch.float64))).sum().backward()
    chosen.step()
    assert layer.weight.item() == pytest.approx(weight * (1 - 0.1 * 0.4) - 0.1 * 2 / (2 + 0.3), rel=1e-12)
    assert layer.bias.item() == pytest.approx(bias - 0.2 * 2 / (2 + 0.2), rel=1e-12)


def test_factors_on_eps_are_ignored_by_sgd_and_refused_by_an_adaptive_optimizer_without_eps() -> None:
    factors = {"weight": Factors(eps=0.5, weight_decay=2)}
    decayed, _ = optimizer.build(config(weight_decay=0.1))(nn.Linear(2, 2), lambda adaptive: factors).param_groups
    assert "eps" not in decayed
    assert decayed["weight_decay"] == 0.2
    make = optimizer.build({"_target_": "torch.optim.Rprop", "name": "rprop", "lr": 0.1})
    with pytest.raises(ValueError, match=r"^the initializer scales eps, and optimizer torch.optim.Rprop has none$"):
        make(nn.Linear(2, 2), lambda adaptive: factors)


def test_parameters_that_share_storage_are_in_one_group_each() -> None:
    a, b = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    b.weight = nn.Parameter(a.weight.data)
    (group,) = build()(nn.Sequential(a, b)).param_groups
    assert len(group["params"]) == 2


def test_an_optimizer_of_ones_own_needs_no_more_than_its_class(
    model: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sign_descent.py").write_text(
        "import torch\n"
        "class SignDescent(torch.optim.Optimizer):\n"
        "    def __init__(self, params, lr):\n"
        "        super().__init__(params, {'lr': lr})\n"
        "    @torch.no_grad()\n"
        "    def step(self):\n"
        "        for group in self.param_groups:\n"
        "            for parameter in group['params']:\n"
        "                if parameter.grad is not None:\n"
        "                    parameter.sub_(group['lr'] * parameter.grad.sign())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    node = {"_target_": "sign_descent.SignDescent", "name": "sign_descent", "lr": 0.5, "lr_multipliers": {"bias": 2}}
    made = optimizer.build(node)(model, no_factors)
    before = model[0].weight.detach().clone(), model[0].bias.detach().clone()
    model[0](torch.ones(1, 1, 4, 4)).sum().backward()
    made.step()
    torch.testing.assert_close(before[0] - model[0].weight, torch.full_like(before[0], 0.5))
    torch.testing.assert_close(before[1] - model[0].bias, torch.full_like(before[1], 1.0))


@pytest.mark.parametrize(
    "kind, key, value",
    [
        ("RMSprop", "alpha", -0.1),
        ("Adam", "betas", [0.9, 1]),
        ("Adam", "betas", [-0.1, 0.9]),
        ("AdamW", "eps", -1),
        ("Adagrad", "lr_decay", -1),
        ("SGD", "momentum", -0.5),
        ("NAdam", "momentum_decay", -1),
        ("Adadelta", "rho", 1.5),
    ],
)
def test_an_argument_of_torchs_outside_its_range_is_refused_by_its_key(kind: str, key: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^optimizer.{key} must be "):
        optimizer.build({"_target_": f"torch.optim.{kind}", "name": "mine", "lr": 0.1, key: value})


def test_the_groups_are_in_one_order_whatever_the_order_of_the_parameters() -> None:
    """Those whose rate is the schedule's first; then the hidden ones; then by factors; decayed before others."""
    model = nn.Sequential(*(nn.Linear(2, 2, bias=place == 0) for place in range(6)))
    factors = {
        "0.weight": Factors(eps=2),
        "2.weight": Factors(lr=0.5),
        "3.weight": Factors(lr=0.25),
        "4.weight": Factors(lr=4.0),
    }
    groups = parameter_groups(model, 0.1, "weights", factors, {"1.weight", "4.weight"})
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert [[names[id(p)] for p in group["params"]] for group in groups] == [
        ["1.weight"],
        ["5.weight"],
        ["0.bias"],
        ["0.weight"],
        ["4.weight"],
        ["3.weight"],
        ["2.weight"],
    ]
    assert [group["hidden"] for group in groups] == [True, False, False, False, True, False, False]


def test_the_packed_matrices_of_an_attention_are_decayed() -> None:
    attention = nn.MultiheadAttention(4, 2)
    decayed, spared = build(weight_decay=0.1)(attention).param_groups
    names = {id(parameter): name for name, parameter in attention.named_parameters()}
    assert {names[id(p)] for p in decayed["params"]} == {"in_proj_weight", "out_proj.weight"}
    assert {names[id(p)] for p in spared["params"]} == {"in_proj_bias", "out_proj.bias"}
