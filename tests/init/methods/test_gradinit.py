"""GradInit: its two objectives and their derivatives against finite differences, and what the scales do."""

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init import Batch, initialize, initializer


def clusters(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(4, (96,), generator=generator)
    centres = torch.randn(4, 20, generator=generator)
    return Batch(centres[targets] + 0.5 * torch.randn(96, 20, generator=generator), targets)


def network(activation: type[nn.Module], depth: int = 4, width: int = 24) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), activation())]
    return nn.Sequential(nn.Linear(20, width), activation(), *hidden, nn.Linear(width, 4))


def final_loss(model: nn.Module, batch: Batch, steps: int = 150) -> float:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(batch.inputs), batch.targets).backward()
        optimizer.step()
    return F.cross_entropy(model(batch.inputs), batch.targets).item()


def ratio(new: Tensor, old: Tensor) -> float:
    """The one scale of a parameter."""
    scale = ((new * old).sum() / old.square().sum()).item()
    torch.testing.assert_close(new, scale * old, rtol=1e-5, atol=1e-7)
    return scale


class Naive:
    """The algorithm on three equal samples, whose every part is the same batch: by hand, without autograd of autograd.

    Derivatives of the scales are central differences, moments of Adam are plain numbers.
    """

    def __init__(self, model: nn.Module, batch: Batch, optimizer: str, normalize: bool) -> None:
        self.model, self.batch, self.optimizer, self.normalize = model, batch, optimizer, normalize
        self.start = [parameter.detach().clone() for parameter in model.parameters()]

    def loss(self, parameters: list[Tensor]) -> Tensor:
        for parameter, value in zip(self.model.parameters(), parameters, strict=True):
            parameter.data = value.clone()
        return F.cross_entropy(self.model(self.batch.inputs), self.batch.targets)

    def scaled(self, scales: list[float]) -> list[Tensor]:
        return [scale * start for scale, start in zip(scales, self.start, strict=True)]

    def gradients(self, scales: list[float]) -> list[Tensor]:
        self.model.zero_grad()
        self.loss(self.scaled(scales)).backward()
        return [parameter.grad.clone() for parameter in self.model.parameters() if parameter.grad is not None]

    def norm(self, scales: list[float]) -> float:
        flat = torch.cat([g.flatten() for g in self.gradients(scales)])
        return flat.norm(1 if self.optimizer == "adam" else 2).item()

    def stepped(self, scales: list[float], direction: list[Tensor], eta: float) -> float:
        pairs = zip(self.scaled(scales), direction, strict=True)
        return self.loss([value - eta * step for value, step in pairs]).item()

    def run(self, steps: int, learning_rate: float, gamma: float, eta: float, floor: list[float]) -> list[float]:
        scales = [1.0] * len(self.start)
        moments: dict[bool, list[list[float]]] = {True: [], False: []}  # the slopes that each objective has seen
        for _ in range(steps):
            gradients, norm = self.gradients(scales), self.norm(scales)
            constrained = norm > gamma
            if self.optimizer == "adam":
                direction = [g.sign() for g in gradients]
            else:
                direction = [g / norm if self.normalize else g for g in gradients]
            slopes = []
            for index in range(len(scales)):
                sides = []
                for shift in (1e-5, -1e-5):
                    moved = [s + shift * (index == other) for other, s in enumerate(scales)]
                    sides.append(self.norm(moved) if constrained else self.stepped(moved, direction, eta) / eta)
                slopes.append(max(-1.0, min(1.0, (sides[0] - sides[1]) / 2e-5)))
            history = moments[constrained]
            history.append(slopes)
            for index in range(len(scales)):
                first = second = 0.0
                for past in history:
                    first, second = 0.9 * first + 0.1 * past[index], 0.999 * second + 0.001 * past[index] ** 2
                first, second = first / (1 - 0.9 ** len(history)), second / (1 - 0.999 ** len(history))
                scales[index] -= learning_rate * first / (math.sqrt(second) + 1e-8)
                scales[index] = max(scales[index], floor[index])
        return scales


@pytest.mark.parametrize("gamma", [1e-3, 1e3, 1.0], ids=["constraint", "loss", "both"])
@pytest.mark.parametrize("optimizer, normalize", [("sgd", True), ("sgd", False), ("adam", True)])
def test_scales_are_those_of_finite_differences(gamma: float, optimizer: str, normalize: bool) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    batch = Batch(torch.randn(1, 3, dtype=torch.float64).expand(3, 3), torch.ones(3, dtype=torch.long))
    start = initialize(model, "normal", bias={"name": "normal", "std": 0.5}, seed=2)
    naive = Naive(copy.deepcopy(start), batch, optimizer, normalize)
    if gamma == 1:
        gamma = 0.97 * naive.norm([1.0] * 4)  # so that the first steps reach it
    expected = naive.run(steps=6, learning_rate=0.05, gamma=gamma, eta=0.1, floor=[0.9, 0.0, 0.9, 0.0])
    treated = copy.deepcopy(start)
    policies = {"weight": "normal", "bias": {"name": "normal", "std": 0.5}}
    chosen = initializer(
        "gradinit", **policies, steps=6, learning_rate=0.05, gamma=gamma, min_scale=0.9, optimizer=optimizer,
        normalize=normalize,
    )  # fmt: skip  # several values to a line
    numbers = chosen.apply(treated, seed=2, batch=batch).numbers
    scales = [ratio(new, old) for new, old in zip(treated.parameters(), start.parameters(), strict=True)]
    assert scales == pytest.approx(expected, rel=1e-4)
    assert max(abs(scale - 1) for scale in scales) > 0.05
    assert numbers["gradient_norm_start"] == pytest.approx(naive.norm([1.0] * 4), rel=1e-5)
    assert numbers["gradient_norm_end"] == pytest.approx(naive.norm(expected), rel=1e-3)
    allowed = {1e-3: [6], 1e3: [0]}.get(gamma, range(1, 6))
    assert numbers["constrained_steps"] in allowed


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_objectives_fall(optimizer: str, seed: int) -> None:
    large = {"name": "variance_scaling", "gain": 3}
    settings = {"steps": 60, "learning_rate": 0.03, "optimizer": optimizer, "gamma": 1 if optimizer == "sgd" else 30}
    chosen = initializer("gradinit", weight=large, eta=0.1 if optimizer == "sgd" else 1e-3, **settings)
    numbers = chosen.apply(network(nn.ReLU), seed=seed, batch=clusters(seed)).numbers
    assert numbers["gradient_norm_end"] < 0.05 * numbers["gradient_norm_start"]
    assert numbers["stepped_loss_end"] < 0.5 * numbers["stepped_loss_start"]
    assert 0 < numbers["constrained_steps"] <= numbers["steps"] == 60


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_loss_after_a_step_falls_where_gradients_are_small(seed: int) -> None:
    """With a constraint out of reach only the loss is followed."""
    small = {"name": "variance_scaling", "gain": 0.5}
    chosen = initializer("gradinit", weight=small, steps=40, learning_rate=0.05, gamma=100)
    numbers = chosen.apply(network(nn.Tanh, depth=1), seed=seed, batch=clusters(seed)).numbers
    assert numbers["constrained_steps"] == 0
    assert numbers["gradient_norm_end"] > 1.5 * numbers["gradient_norm_start"]
    assert numbers["stepped_loss_end"] < numbers["stepped_loss_start"] - 0.1


@pytest.mark.parametrize("seed", [1, 2, 3, 4])  # of 0 to 7, torch 2.11 does not train 0, and 2.15 does not train 7
def test_a_network_that_diverges_becomes_trainable(seed: int) -> None:
    batch, large = clusters(seed), {"name": "variance_scaling", "gain": 3.5}
    before = initialize(network(nn.ReLU), large, seed=seed)
    after = initialize(
        network(nn.ReLU), "gradinit", weight=large, steps=100, learning_rate=0.02, seed=seed, batch=batch
    )
    assert not final_loss(before, batch) < 1  # it is not even finite
    assert final_loss(after, batch) < 0.5


def test_one_scale_for_each_parameter() -> None:
    settings = {"bias": 0.1, "steps": 20, "learning_rate": 0.2, "gamma": 1e-9, "min_scale": 0.3}
    model = initialize(network(nn.ReLU, depth=1), "gradinit", seed=3, batch=clusters(0), **settings)
    start = initialize(network(nn.ReLU, depth=1), "kaiming_normal", seed=3, bias=0.1)
    scales = {
        name: ratio(new, old)
        for (name, new), old in zip(model.named_parameters(), start.parameters(), strict=True)
        if new.any()
    }
    weights = [scale for name, scale in scales.items() if name.endswith("weight")]
    assert min(weights) == pytest.approx(0.3)
    assert len(weights) == 3
    biases = [new for name, new in model.named_parameters() if name.endswith("bias")]
    assert min(bias.min().item() for bias in biases) < 0.3 * 0.1  # which is not theirs


def test_zero_parameters_stay_and_take_part_in_the_step() -> None:
    """With zero weights everywhere only the bias has a gradient, and a step along it lowers the loss."""
    batch = Batch(torch.randn(6, 20), torch.zeros(6, dtype=torch.long))
    model = nn.Linear(20, 4)
    numbers = initializer("gradinit", weight=0, steps=2, gamma=100).apply(model, seed=0, batch=batch).numbers
    assert not model.weight.any()
    assert not model.bias.any()
    assert numbers["stepped_loss_end"] < math.log(4) - 0.01


def test_a_frozen_model_in_evaluation_is_scaled_and_otherwise_as_before() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    model.eval()
    model[4].weight.requires_grad_(False)
    start = copy.deepcopy(model)
    batch = Batch(torch.randn(6, 2, 4, 4), torch.randint(3, (6,)))
    outcome = initializer("gradinit", steps=3).apply(model, seed=0, batch=batch)
    assert {"1.weight", "4.weight"} <= outcome.changed
    assert not model[4].weight.requires_grad
    assert model[0].weight.requires_grad
    assert not model.training
    assert model[0].weight.grad is None
    for (name, buffer), old in zip(model.named_buffers(), start.buffers(), strict=True):
        torch.testing.assert_close(buffer, old, rtol=0, atol=0, msg=name)


def test_tied_weights_have_one_scale() -> None:
    model = network(nn.Tanh, depth=2)
    model[4].weight = model[2].weight
    initialize(model, "gradinit", steps=3, batch=clusters(0))
    assert model[4].weight is model[2].weight
    start = network(nn.Tanh, depth=2)
    start[4].weight = start[2].weight
    assert ratio(model[2].weight, initialize(start, "kaiming_normal")[2].weight) != pytest.approx(1, abs=1e-3)


def test_gradient_and_loss_share_half_of_their_samples() -> None:
    drawn: list[set[int]] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        drawn.append(set(targets.tolist()))
        return F.cross_entropy(outputs, targets)

    batch = Batch(torch.randn(11, 20), torch.arange(11))  # each sample a class of its own
    initialize(nn.Linear(20, 11), "gradinit", steps=4, gamma=100, batch=batch, loss=loss)
    parts = drawn[2:-2]  # without what is measured over the whole batch, before and after
    assert len(parts) == 8
    assert all(len(part) == 6 for part in parts)
    assert all(len(first & second) == 3 for first, second in zip(parts[::2], parts[1::2], strict=True))
    assert len({frozenset(part) for part in parts}) > 4  # new ones at each step


def test_same_seed_same_bits() -> None:
    def weights(seed: int) -> dict[str, Tensor]:
        return initialize(network(nn.ReLU), "gradinit", steps=3, seed=seed, batch=clusters(0)).state_dict()

    torch.testing.assert_close(weights(4), weights(4), rtol=0, atol=0)
    assert not torch.equal(weights(4)["0.weight"], weights(5)["0.weight"])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"optimizer": "adm"}, r"unknown optimizer of gradinit 'adm'\. Did you mean 'adam'\?"),
        ({"steps": 0}, "gradinit needs steps >= 1.*got 0"),
        ({"gamma": 0.0}, "gamma and eta > 0"),
        ({"min_scale": 2}, "0 <= min_scale <= 1.*got 390, 0.01, 1.0, 0.1, 2"),
        ({"batch": None}, "gradinit needs data"),
        ({"batch": clusters(0).inputs}, "gradinit needs targets"),
        ({"batch": (clusters(0).inputs[:1], clusters(0).targets[:1])}, "at least 2 samples"),
        ({"batch": (clusters(0).inputs[:2], clusters(0).targets[:2])}, "needs 3 samples or more, got 2"),
        ({"batch": (clusters(0).inputs / 0, clusters(0).targets)}, "not finite"),
        ({"weight": {"name": "normal", "std": 1e30}}, "the norm of the gradient is nan in step 0 of gradinit"),
        ({"eta": 1e38, "gamma": 1e9}, "the loss after one step is nan in step 0 of gradinit"),
    ],
)
def test_mistakes(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initialize(network(nn.ReLU), "gradinit", **{"batch": clusters(0), **change})


def test_gradinit_on_a_module_with_two_names() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(8, 8)
            self.same = self.one
            self.tied = nn.Linear(8, 8)
            self.tied.weight = self.one.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.tied(self.same(self.one(x)))

    torch.manual_seed(0)
    batch = torch.linspace(-1, 1, 96).view(12, 8).sin(), torch.arange(12) % 8
    model = initialize(Twice(), "gradinit", batch=batch, steps=2)
    assert isinstance(model.one.weight, nn.Parameter)
    assert model.tied.weight is model.one.weight


class Unused(nn.Sequential):
    """A network with a layer that does not run."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(20, 4))
        self.aside = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self[0](x)
        return outputs


@pytest.mark.parametrize("name", ["gradinit", "metainit"])
def test_a_layer_that_does_not_run_has_no_slope(name: str) -> None:
    model = Unused()
    initialize(model, name, steps=2, batch=clusters(0), weight="normal", seed=1)
    plain = initialize(Unused(), "normal", seed=1)
    assert not torch.equal(model[0].weight, plain[0].weight)
    if name == "gradinit":
        assert torch.equal(model.aside.weight, plain.aside.weight)


def test_a_weight_of_a_layer_called_bias_is_a_weight() -> None:
    """Only biases may reach a scale of zero."""
    model = nn.Sequential()
    model.add_module("bias_free", nn.Linear(20, 8))
    model.add_module("last", nn.Linear(8, 4))
    start = initialize(copy.deepcopy(model), "normal", seed=1)
    settings = {"steps": 20, "learning_rate": 0.2, "gamma": 1e-9, "min_scale": 0.3}
    initialize(model, "gradinit", weight="normal", seed=1, batch=clusters(0), **settings)
    scales = [
        ratio(model.get_parameter(name), start.get_parameter(name)) for name in ("bias_free.weight", "last.weight")
    ]
    assert min(scales) == pytest.approx(0.3)
    assert scales[0] == pytest.approx(0.3)


def test_a_scale_may_have_to_stay_at_one_or_above() -> None:
    model = initialize(
        nn.Linear(20, 4), "gradinit", steps=3, min_scale=1, gamma=1e-9, batch=clusters(0), weight="normal"
    )
    start = initialize(nn.Linear(20, 4), "normal")
    assert ratio(model.weight, start.weight) == pytest.approx(1)
