"""Every option of conf/init on models of each kind: mean and standard deviation of every weight against theory."""

import math
from functools import cache
from typing import Any

import pytest
import torch
from configs import compose_config
from tasks import classifier
from torch import nn

from initbench.init import Assignment, Initializer
from initbench.init.table import scheme_std

# Overrides that make a small model of each kind, and the gain of its activation by hand: relu has sqrt 2, tanh 5/3
# in torch's table; gelu's 1 / sqrt(E[gelu(z)^2]) with E = 0.42522 (numerical integration).
MODELS = {
    "mlp": ("model=mlp", math.sqrt(2)),
    "tanh": ("model=mlp model.nonlinearity=tanh model.norm=batch", 5 / 3),
    "lenet": ("model=lenet", math.sqrt(2)),
    "plain_cnn": ("model=plain_cnn model.depth=4 model.norm=group", math.sqrt(2)),
    "resnet20": ("model=resnet20", math.sqrt(2)),
    "lstm": ("model=lstm", 5 / 3),
    "vit": ("model=timm model.name=vit_tiny_patch16_224 +model.depth=1", 0.42522**-0.5),
}
FORMULAS = [
    "default",
    "uniform",
    "normal",
    "trunc_normal",
    "sparse",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "lecun_uniform",
    "lecun_normal",
    "variance_scaling",
    "gamma",
    "orthogonal",
]


@cache
def network(kind: str) -> nn.Module:
    overrides, _ = MODELS[kind]
    config = compose_config(*overrides.split())["model"]
    return classifier(config)


def initialized(name: str, kind: str) -> list[Assignment]:
    """The parameters of a model that the next call initializes anew."""
    found = Initializer.from_config(compose_config(f"init={name}")["init"]).apply(network(kind), seed=1).assignments
    check_policies(name, found)
    return found


def check_policies(name: str, assignments: list[Assignment]) -> None:
    """Zero biases, scale one, shift zero; the control keeps each module's own, which for norms is the same."""
    for assignment in assignments:
        expected = {"bias": 0.0, "norm_scale": 1.0, "norm_shift": 0.0}.get(assignment.parameter.role)
        if expected is not None and not (name == "default" and assignment.parameter.role == "bias"):
            assert torch.equal(assignment.parameter.tensor, torch.full_like(assignment.parameter.tensor, expected))


def expected_std(
    name: str, gain: float, rows: int, columns: int, fan_in: int, fan_out: int, module: nn.Module
) -> float:
    own = 1 / math.sqrt(3 * fan_in)
    if isinstance(module, nn.RNNBase):
        own = 1 / math.sqrt(3 * module.hidden_size)
    return {
        "default": own,
        "uniform": 0.1 / math.sqrt(12),
        "normal": 0.05,
        "trunc_normal": 0.02,
        "sparse": 0.01 * math.sqrt(1 - math.ceil(0.9 * rows) / rows),
        "xavier_uniform": math.sqrt(2 / (fan_in + fan_out)),
        "xavier_normal": math.sqrt(2 / (fan_in + fan_out)),
        "kaiming_uniform": gain / math.sqrt(fan_in),
        "kaiming_normal": gain / math.sqrt(fan_in),
        "lecun_uniform": 1 / math.sqrt(fan_in),
        "lecun_normal": 1 / math.sqrt(fan_in),
        "variance_scaling": 1 / math.sqrt(fan_in),
        "gamma": fan_in**-0.8,
        "orthogonal": gain / math.sqrt(max(rows, columns)),
    }[name]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", FORMULAS)
def test_moments_of_every_weight_and_policies_of_the_rest(name: str, kind: str) -> None:
    checked = 0
    for assignment in initialized(name, kind):
        layer, role = assignment.layer, assignment.parameter.role
        values = assignment.parameter.tensor.detach()
        if role not in ("weight", "recurrent_input", "recurrent_hidden", "attention_in"):
            continue
        assert layer.fan_in
        assert layer.fan_out
        blocks = {"recurrent_input": 4, "recurrent_hidden": 4, "attention_in": 3}.get(role, 1)
        rows, columns = len(values) // blocks, values[0].numel()
        std = expected_std(name, MODELS[kind][1], rows, columns, layer.fan_in, layer.fan_out, layer.module)
        # Five standard errors of a sample's standard deviation (heavier for sparse, most of whose draws are zero).
        error = 5 / math.sqrt(2 * values.numel()) * (3.5 if name == "sparse" else 1)
        assert scheme_std(assignment) == pytest.approx(std, rel=1e-3), layer.name
        assert float(values.std()) == pytest.approx(std, rel=error), layer.name
        assert abs(float(values.mean())) <= 5 * std / math.sqrt(values.numel()), layer.name
        checked += 1
    assert checked >= 2


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name, value", [("constant", 0.01), ("zeros", 0.0), ("ones", 1.0)])
def test_constants_are_exact_and_policies_apply(name: str, value: float, kind: str) -> None:
    for assignment in initialized(name, kind):
        if assignment.rule == "weight":
            assert (assignment.parameter.tensor == value).all()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", ["eye", "dirac"])
def test_biases_and_norms_follow_their_policies(name: str, kind: str) -> None:
    """Those of all other options are checked with their weights."""
    assert {assignment.layer.name for assignment in initialized(name, kind)}


@pytest.mark.parametrize("kind", MODELS)
def test_every_parameter_is_listed_once(kind: str) -> None:
    names = [assignment.layer.name for assignment in initialized("normal", kind)]
    assert names == [name for name, _ in network(kind).named_parameters()]


def test_the_gain_of_gelu_by_hand() -> None:
    from scipy.integrate import quad
    from scipy.stats import norm

    moment: Any = quad(lambda z: (z * norm.cdf(z)) ** 2 * norm.pdf(z), -12, 12)[0]
    assert moment == pytest.approx(0.42522, abs=1e-5)
