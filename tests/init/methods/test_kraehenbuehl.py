"""Krähenbühl's initialization: unit moments within layers, equal rates of change between them."""

import copy
import math
from typing import Any

import pytest
import torch
from running import MODELS, Shared, convolutional, first_outputs, images, units_first
from torch import nn

from initbench.init import Batch, initialize, initializer


def relu_network(bias: bool = True) -> nn.Sequential:
    """Homogeneous in each layer's weight and bias."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, bias=bias),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, bias=bias),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(784, 30, bias=bias),
        nn.ReLU(),
        nn.Linear(30, 6, bias=bias),
    )


def ratios(model: nn.Module, inputs: torch.Tensor, samples: int = 40) -> dict[str, float]:
    """sqrt(mean dW^2 / mean W^2), the square averaged over many random gradients at the output, by backward()."""
    model.train()
    squares: dict[str, torch.Tensor] = {}
    for seed in range(samples):
        model.zero_grad()
        outputs = model(inputs)
        outputs.backward(torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1000 + seed)))
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                squares[name] = squares.get(name, torch.zeros(())) + parameter.grad.square().mean() / samples
    return {n: float((s / model.get_parameter(n).detach().square().mean()).sqrt()) for n, s in squares.items()}


def spread(values: dict[str, float]) -> float:
    return max(values.values()) / min(values.values())


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("center", [0.0, 0.1])
def test_the_first_part_gives_every_unit_variance_one(kind: str, center: float) -> None:
    model = initialize(MODELS[kind](), "kraehenbuehl", batch=images(), iterations=0, center=center)
    outputs = first_outputs(model, images())
    outputs.pop("second", None)  # of `tied`, whose weight is the first layer's
    for name, output in outputs.items():
        units = units_first(output, model.get_submodule(name))
        torch.testing.assert_close(units.std(1, correction=0), torch.ones(len(units)), rtol=1e-4, atol=1e-4, msg=name)
        if model.get_submodule(name).bias is not None:
            expected = torch.full((len(units),), center)
            torch.testing.assert_close(units.mean(1), expected, rtol=0, atol=1e-4, msg=name)


def test_a_homogeneous_network_computes_the_same_after_the_second_part() -> None:
    """Rates become equal, the function stays: what a layer gains another loses, and biases follow."""
    before = initialize(relu_network(), "kraehenbuehl", batch=images(), iterations=0)
    after = initialize(relu_network(), "kraehenbuehl", batch=images(), iterations=10)
    torch.testing.assert_close(after(images()), before(images()), rtol=1e-3, atol=1e-3)
    assert spread(ratios(before, images())) > 2
    assert spread(ratios(after, images())) < 1.3  # one draw's noise
    for layer, other in zip(before, after, strict=True):
        if hasattr(layer, "weight"):
            cosine = torch.cosine_similarity(layer.weight.detach().flatten(), other.weight.detach().flatten(), dim=0)
            assert float(cosine) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("activation", [nn.Sigmoid, nn.Softplus])
def test_the_output_keeps_its_scale_in_a_network_that_is_not_homogeneous(activation: type[nn.Module]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), activation(), nn.Linear(32, 32), activation(), nn.Linear(32, 5))
    inputs = torch.randn(64, 6)
    initialize(model, "kraehenbuehl", batch=inputs, iterations=10)
    assert float(model(inputs).detach().std(0, correction=0).mean()) == pytest.approx(1, abs=0.015)


def test_one_iteration_is_the_formula() -> None:
    """W_k * sqrt(C_k / C), with the draws of the method's own stream; biases by the product up to their layer."""
    model = initialize(relu_network(), "kraehenbuehl", batch=images(), iterations=0, seed=4)
    result = initialize(relu_network(), "kraehenbuehl", batch=images(), iterations=1, seed=4)
    from initbench.init.assignment import stream

    outputs = model(images())
    outputs.backward(torch.randn(outputs.shape, generator=stream(4, "top gradients")))
    layers = [(a, b) for a, b in zip(model, result, strict=True) if hasattr(a, "weight")]
    rates = [math.sqrt(float(a.weight.grad.square().mean() / a.weight.detach().square().mean())) for a, _ in layers]
    geometric_mean = math.prod(rates) ** (1 / len(rates))
    product = 1.0
    for (layer, scaled), rate in zip(layers, rates, strict=True):
        factor = math.sqrt(rate / geometric_mean)
        product *= factor
        torch.testing.assert_close(scaled.weight, layer.weight * factor, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(scaled.bias, layer.bias * product, rtol=1e-3, atol=1e-5)
    assert product == pytest.approx(1)


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind not in ("tied", "lstm")])  # those have one layer
def test_rates_are_closer_after_the_second_part_in_every_model(kind: str) -> None:
    """In networks that are not homogeneous too: norms, residuals, tanh, GELU, attention."""
    before, after = (
        initialize(MODELS[kind](), "kraehenbuehl", batch=images(8), iterations=iterations) for iterations in (0, 5)
    )
    layers = [f"{name}.weight" for name in first_outputs(after, images(8))]
    rates = []
    for model in (before, after):
        measured = ratios(plain(model), images(8), samples=4)
        rates.append({name: measured[name] for name in layers})
    assert spread(rates[1]) < 0.7 * spread(rates[0])


def test_the_numbers_say_what_it_cost_and_what_it_reached() -> None:
    """The best of several iterations is kept, also in a transformer, where equal rates do not exist."""
    reached = []
    for iterations in (0, 1, 4, 8):
        torch.manual_seed(0)  # class token and positions stay as built
        outcome = initializer("kraehenbuehl", iterations=iterations).apply(
            MODELS["vit"](), seed=0, batch=Batch(images(8))
        )
        assert outcome.numbers["steps"] == 2 * iterations + 2
        reached.append(outcome.numbers["ratio_spread"])
    assert reached == sorted(reached, reverse=True)
    assert 1 < reached[-1] < reached[0] / 2


def plain(model: nn.Module) -> nn.Module:
    """The model itself without dropout and parametrizations, so that the weights are the parameters."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if nn.utils.parametrize.is_parametrized(module):
            nn.utils.parametrize.remove_parametrizations(module, "weight")
    return model


def test_a_layer_without_gradient_takes_no_part() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.branch, self.head = nn.Linear(32, 16), nn.Linear(16, 16), nn.Linear(16, 4)
            self.gate = nn.Parameter(torch.zeros(()))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.stem(x[:, 0, 0]))
            return self.head(x + self.gate * self.branch(x))

    first, both = (initialize(Gated(), "kraehenbuehl", batch=images(), iterations=n, other=0) for n in (0, 10))
    assert torch.equal(first.branch.weight, both.branch.weight)
    assert not torch.equal(first.stem.weight, both.stem.weight)
    named = ratios(both, images())
    assert named.pop("branch.weight") == 0
    assert spread(named) < 1.5


def test_modes_flags_and_statistics_stay_and_the_bits_repeat() -> None:
    model = convolutional().eval()
    model[0].weight.requires_grad_(False)
    state = torch.get_rng_state()
    initialize(model, "kraehenbuehl", batch=images())
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert not model[0].weight.requires_grad
    assert model[0].bias.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model[3].num_batches_tracked == 0
    again = initialize(convolutional(), "kraehenbuehl", batch=images())
    other = initialize(convolutional(), "kraehenbuehl", batch=images(), seed=1)
    for a, b, c in zip(model.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert a.dim() == 1 or not torch.equal(a, c)


def test_half_precision_and_shared_modules() -> None:
    model = initialize(Shared().half(), "kraehenbuehl", batch=images().half())
    assert all(parameter.dtype == torch.float16 and parameter.isfinite().all() for parameter in model.parameters())
    assert spread(ratios(model.float(), images())) < 1.5


class Cut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(32, 2)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gate * self.linear(x).detach()


class Pair(nn.Sequential):
    def forward(self, x: torch.Tensor) -> Any:
        x = super().forward(x)
        return x, x


@pytest.mark.parametrize(
    "build, change, message",
    [
        (convolutional, {"iterations": -1}, "iterations must be at least 0"),
        (convolutional, {"batch": torch.full((4, 3, 32, 32), torch.nan)}, "not finite"),
        (convolutional, {"batch": images(1)}, "at least 2 samples"),
        (convolutional, {"batch": None}, "kraehenbuehl needs data"),
        (convolutional, {"weight": "zeros"}, "unit 0 of layer 0 is dead"),
        (lambda: Pair(nn.Linear(32, 2)), {}, "whose output is one tensor, got a tuple"),
        (Cut, {}, "no layer has a gradient from the output"),
    ],
)
def test_what_does_not_work_is_one_clear_error(build: Any, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initialize(build(), "kraehenbuehl", **{"batch": images(), **change})


class Products(nn.Module):
    """Homogeneous in each of three layers; both inputs of the bilinear one change in the second part."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 30), nn.Linear(4, 3)
        self.product, self.head = nn.Bilinear(30, 3, 7), nn.Linear(7, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.product(self.one(x).relu(), self.other(x).relu()).relu())


def test_the_bias_of_a_bilinear_layer_follows_both_of_its_inputs() -> None:
    inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    before, after = (initialize(Products(), "kraehenbuehl", batch=inputs, iterations=n) for n in (0, 3))
    for model in (before, after):
        assert model.product.bias.detach().abs().min() > 1e-4
    one, other = (after.get_parameter(f"{name}.weight").detach() for name in ("one", "other"))
    factors = [
        float(w.norm() / before.get_parameter(f"{n}.weight").detach().norm())
        for n, w in (("one", one), ("other", other), ("product", after.product.weight.detach()))
    ]
    expected = before.product.bias.detach() * math.prod(factors)
    assert abs(math.log(factors[0])) > 0.05
    torch.testing.assert_close(after.product.bias.detach(), expected, rtol=1e-3, atol=1e-5)


def test_the_spread_that_is_said_is_that_of_the_weights_that_are_kept() -> None:
    """Also where later iterations are worse: the model as it was, with the spread of its rates."""
    torch.manual_seed(0)
    model = MODELS["vit"]()
    outcome = initializer("kraehenbuehl", iterations=8).apply(model, seed=0, batch=Batch(images(8)))
    named = first_outputs(copy.deepcopy(model), images(8))
    measured = ratios(plain(model), images(8), samples=12)
    own = spread({name: measured[f"{name}.weight"] for name in named})
    assert own == pytest.approx(outcome.numbers["ratio_spread"], rel=0.25)
