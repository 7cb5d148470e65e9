"""Steps of methods worked out by hand where a model is unlike most."""

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling
from torch.nn.utils import parametrizations, parametrize

from initbench.init import initialize, initializer
from initbench.init.assignment import stream
from initbench.init.method import Batch
from initbench.init.methods.execution import standardize, visit_layers
from initbench.init.methods.kraehenbuehl import _scale
from initbench.model import GPT


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def softplus_network() -> nn.Sequential:
    """Not homogeneous, without biases."""
    sizes = (6, 20, 12, 5)
    layers = [nn.Linear(one, other, bias=False) for one, other in pairwise(sizes)]
    return nn.Sequential(layers[0], nn.Softplus(), layers[1], nn.Softplus(), layers[2])


def test_the_drift_of_the_outputs_scale_is_undone_by_all_layers_together() -> None:
    """Algorithm 2 of Krähenbühl et al. by hand; the target of the rates is moved by the drift over the layers."""
    inputs = numbers(30, 6)
    model = initialize(softplus_network(), "kraehenbuehl", batch=inputs, iterations=0, seed=4)
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    generator, candidates, drift = stream(4, "top gradients"), [], 0.0
    start = model(inputs).std(0, correction=0).mean()
    for _ in range(4):
        outputs = model(inputs)
        top = torch.randn(outputs.shape, generator=generator)
        gradients = torch.autograd.grad(outputs, [layer.weight for layer in layers], top)
        rates = torch.stack(
            [
                (gradient.square().mean() / layer.weight.detach().square().mean()).sqrt().log()
                for gradient, layer in zip(gradients, layers, strict=True)
            ]
        )
        candidates.append(
            (float((rates.max() - rates.min()).exp()), [layer.weight.detach().clone() for layer in layers])
        )
        target = rates.mean() + drift / 3
        with torch.no_grad():
            for layer, rate in zip(layers, rates, strict=True):
                layer.weight.mul_(((rate - target) / 2).exp())
        drift = (model(inputs).std(0, correction=0).mean() / start).log().detach()
    best = min(range(4), key=lambda each: candidates[each][0])
    assert best >= 2  # where the drift has entered
    result = softplus_network()
    outcome = initializer("kraehenbuehl", iterations=3).apply(result, seed=4, batch=Batch(inputs))
    for layer, expected in zip((result[0], result[2], result[4]), candidates[best][1], strict=True):
        torch.testing.assert_close(layer.weight.detach(), expected, rtol=1e-4, atol=1e-6)
    assert outcome.numbers["ratio_spread"] == pytest.approx(candidates[best][0], rel=1e-4)
    assert outcome.numbers["steps"] == 8


def test_a_scale_is_that_over_samples_averaged_over_outputs() -> None:
    """Not that over all numbers: outputs may have means of their own."""
    outputs = torch.tensor([[0.0, 10.0], [2.0, 14.0]])
    assert float(_scale(outputs)) == 1.5
    with pytest.raises(ValueError, match="whose output is one tensor, got a tuple"):
        _scale((outputs,))


class Cube(nn.Module):
    """A parametrization that is not linear."""

    def forward(self, x: Tensor) -> Tensor:
        return x**3

    def right_inverse(self, x: Tensor) -> Tensor:
        return x.sign() * x.abs() ** (1 / 3)


def test_of_several_parametrizations_the_weight_is_scaled_and_not_the_magnitudes() -> None:
    layer = parametrizations.weight_norm(nn.Linear(4, 3))
    parametrize.register_parametrization(layer, "weight", Cube())
    before = layer.weight.detach().clone()
    inputs = numbers(20, 4)
    visit_layers(nn.Sequential(layer), inputs, standardize)
    outputs = layer(inputs).detach()
    torch.testing.assert_close(outputs.std(0, correction=0), torch.ones(3), rtol=1e-3, atol=1e-3)
    cosine = F.cosine_similarity(layer.weight.detach(), before, dim=1)
    torch.testing.assert_close(cosine, torch.ones(3), rtol=1e-4, atol=1e-4)


def test_of_units_that_cannot_be_scaled_the_worst_is_named() -> None:
    class Fixed(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            sizes = math.sqrt(2) * torch.tensor([0.5, 3.0, 1.0])
            return F.linear(x, F.normalize(self.weight) * sizes[:, None])

    inputs = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # a unit vector makes of it 1/sqrt(2)
    with pytest.raises(ValueError, match="standard deviation of layer 0's output is 3 and does not become 1"):
        visit_layers(nn.Sequential(Fixed(2, 3, bias=False)), inputs, standardize)


@pytest.mark.parametrize(
    "loss, sign",
    [
        (lambda outputs, targets: F.relu(targets - outputs).mean(), -1),  # the same at 0 and above
        (lambda outputs, targets: F.relu(outputs - targets).mean(), 1),  # and below
    ],
)
def test_a_loss_that_is_flat_on_one_side_is_no_softmax(loss: Callable[..., Tensor], sign: int) -> None:
    targets = sign * (numbers(8, 4).abs() + 0.1)
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4))
    initialize(model, "class_prior", batch=(numbers(8, 3, seed=1), targets), loss=loss)
    torch.testing.assert_close(model[2].bias.detach(), targets.mean(0))


OTHER = {"name": "gpt2", "std": 0.05}


def test_parameters_that_share_memory_come_from_one_initializer() -> None:
    def tied() -> nn.Module:
        model = GPT(vocab_size=20, context_length=8, depth=1, width=8, heads=2, tied=False)
        model.head.weight = nn.Parameter(model.embedding.weight.data)
        return model

    a, b = (initialize(tied(), name, seed=3) for name in ("gpt2", OTHER))
    for from_b, expected in ((["embedding"], b), ([], a)):
        model = tied()
        initialize(model, "between", seed=3, a="gpt2", b=OTHER, parts=["embedding"], from_b=from_b)
        assert torch.equal(model.embedding.weight, expected.embedding.weight)
        assert model.head.weight.data_ptr() == model.embedding.weight.data_ptr()


@torch.no_grad()
def test_only_biases_of_linear_layers_in_mlps_are_random_in_jax_vits() -> None:
    model = timm.create_model("vit_tiny_patch16_224", img_size=32, depth=1, embed_dim=32, num_heads=2, num_classes=5)
    initialize(model, "vit_jax", mlp_bias_std=0.5)
    random = {name for name, value in model.named_parameters() if name.endswith("bias") and value.any()}
    assert random == {"blocks.0.mlp.fc1.bias", "blocks.0.mlp.fc2.bias"}
    assert float(model.blocks[0].mlp.fc1.bias.std()) == pytest.approx(0.5, rel=0.25)


class Convolves(nn.Module):
    """A residual branch of convolutions, and one of a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 3)
        self.conv, self.linear = nn.Conv2d(4, 4, 1), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = (x + self.conv(x)).mean((2, 3))
        return self.head(x + self.linear(x))


def test_biases_of_convolutions_are_zero_in_jax_vits() -> None:
    model = initialize(Convolves(), "vit_jax", mlp_bias_std=0.5)
    assert [bool(layer.bias.any()) for layer in (model.stem, model.conv, model.linear, model.head)] == [
        False,
        False,
        True,
        False,
    ]


def test_keys_that_are_given_replace_those_of_the_option() -> None:
    layer = nn.Linear(400, 50)
    for over, std in (({"std": 0.5}, 0.5), ({}, 0.1)):
        weight = initialize(layer, {"name": "normal", "std": 0.1}, **over).weight.detach()
        assert float(weight.std()) == pytest.approx(std, rel=0.05)
