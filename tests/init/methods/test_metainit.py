"""MetaInit: the gradient quotient against an explicit Hessian, and what changing norms by it does to a network."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init import Batch, initialize, initializer
from initbench.init.methods.metainit import gradient_quotient


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


def explicit_quotient(flat: Tensor, inputs: Tensor, targets: Tensor, epsilon: float) -> float:
    """The objective of a tanh network 3-4-2, with its 26 parameters in one vector; the Hessian is 26 x 26."""

    def loss(theta: Tensor) -> Tensor:
        hidden = torch.tanh(inputs @ theta[:12].view(4, 3).T + theta[12:16])
        return F.cross_entropy(hidden @ theta[16:24].view(2, 4).T + theta[24:], targets)

    gradient = torch.autograd.functional.jacobian(loss, flat).tolist()
    hessian = torch.autograd.functional.hessian(loss, flat).tolist()
    total = 0.0
    for row, g in enumerate(gradient):
        product = sum(h * other for h, other in zip(hessian[row], gradient, strict=True))
        total += abs((g - product) / (g + (epsilon if g >= 0 else -epsilon)) - 1)
    return total / len(gradient)


@pytest.fixture
def tiny() -> tuple[nn.Sequential, Tensor, Tensor]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    return model, torch.randn(7, 3, dtype=torch.float64), torch.randint(2, (7,))


def flatten(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("epsilon", [1e-5, 0.1])
def test_quotient_is_that_of_the_explicit_hessian(tiny: Any, epsilon: float) -> None:
    model, inputs, targets = tiny
    loss = F.cross_entropy(model(inputs), targets)
    value = gradient_quotient(loss, list(model.parameters()), epsilon).item()
    assert value == pytest.approx(explicit_quotient(flatten(model), inputs, targets, epsilon), rel=1e-9)


def test_quotient_of_a_quadratic() -> None:
    """loss = a x^2 / 2 + b y^2 / 2: g = (a x, b y), H g = (a^2 x, b^2 y), so the quotient is the mean of |a|, |b|."""
    point = torch.tensor([3.0, -2.0], requires_grad=True)
    loss = (torch.tensor([0.5, 4.0]) * point.square()).sum() / 2
    assert gradient_quotient(loss, [point], 1e-9).item() == pytest.approx((0.5 + 4) / 2, rel=1e-5)


def test_steps_are_signs_of_finite_differences(tiny: Any) -> None:
    """Three steps on the batch itself, each weight's norm moved by hand."""
    model, inputs, targets = tiny
    expected = copy.deepcopy(model)
    numbers = initializer("metainit", weight="normal", data="batch", steps=3, epsilon=0.1)
    outcome = numbers.apply(model, seed=0, batch=Batch(inputs, targets))
    initialize(expected, "normal", seed=0)
    start = explicit_quotient(flatten(expected), inputs, targets, 0.1)
    velocity = {"0.weight": 0.0, "2.weight": 0.0}
    for _ in range(3):
        factors = {}
        for name in velocity:
            weight = expected.get_parameter(name).data
            norm, original, sides = weight.norm().item(), weight.clone(), []
            for shift in (1e-5, -1e-5):
                weight.copy_(original * (norm + shift) / norm)
                sides.append(explicit_quotient(flatten(expected), inputs, targets, 0.1))
            weight.copy_(original)
            velocity[name] = 0.5 * velocity[name] - (0.1 if sides[0] > sides[1] else -0.1)
            factors[name] = (norm + velocity[name]) / norm
        for name, factor in factors.items():
            expected.get_parameter(name).data.mul_(factor)
    for (name, parameter), other in zip(model.named_parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(parameter, other, rtol=1e-6, atol=1e-7, msg=name)
    end = explicit_quotient(flatten(expected), inputs, targets, 0.1)
    assert outcome.numbers["gradient_quotient_start"] == pytest.approx(start, rel=1e-5)
    assert outcome.numbers["gradient_quotient_end"] == pytest.approx(end, rel=1e-5)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quotient_falls(activation: type[nn.Module], seed: int) -> None:
    chosen = initializer("metainit", weight={"name": "variance_scaling", "gain": 0.3}, steps=30)
    numbers = chosen.apply(network(activation, depth=6), seed=seed, batch=clusters(seed)).numbers
    assert numbers["steps"] == 30
    assert numbers["gradient_quotient_end"] < 0.6 * numbers["gradient_quotient_start"]


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_network_that_diverges_becomes_trainable(seed: int) -> None:
    batch, large = clusters(seed), {"name": "variance_scaling", "gain": 3.5}
    before = initialize(network(nn.ReLU), large, seed=seed)
    after = initialize(network(nn.ReLU), "metainit", weight=large, steps=100, learning_rate=0.2, seed=seed, batch=batch)
    assert not final_loss(before, batch) < 1  # it is not even finite
    assert final_loss(after, batch) < 0.5


def test_only_norms_of_weights_change() -> None:
    model = initialize(network(nn.Tanh), "metainit", steps=4, seed=1, batch=clusters(0), bias=0.1)
    start = initialize(network(nn.Tanh), "kaiming_normal", seed=1, bias=0.1)
    for (name, parameter), old in zip(model.named_parameters(), start.parameters(), strict=True):
        if parameter.dim() == 1:
            torch.testing.assert_close(parameter, old, rtol=0, atol=0)
        else:
            ratio = parameter / old
            torch.testing.assert_close(ratio, ratio.flatten()[0].expand_as(ratio), rtol=1e-5, atol=0)
            # Momentum .5 makes the four steps at most .1 + .15 + .175 + .1875 long together.
            assert 0.05 < abs(parameter.norm() - old.norm()).item() < 0.6125 + 1e-4, name


def test_a_small_norm_is_halved_at_most() -> None:
    small = {"name": "constant", "value": 1e-3}
    model = initialize(nn.Linear(20, 4), "metainit", weight=small, steps=1, seed=0, batch=clusters(0))
    factor = (model.weight / 1e-3).mean().item()
    norm = 1e-3 * 80**0.5
    assert min(abs(factor - 0.5), abs(factor - (norm + 0.1) / norm)) < 1e-4


def test_zero_weights_stay() -> None:
    rule = [{"match": "last", "weight": 0}]
    model = initialize(network(nn.Tanh), "metainit", steps=2, rules=rule, batch=clusters(0))
    assert not model[-1].weight.any()
    with pytest.raises(ValueError, match="metainit needs weights that are not zero"):
        initialize(network(nn.Tanh), "metainit", weight=0, batch=clusters(0))


def test_random_data_ignores_the_values_of_the_batch() -> None:
    first = initialize(network(nn.Tanh), "metainit", steps=3, batch=clusters(0))
    batch = clusters(7)
    second = initialize(network(nn.Tanh), "metainit", steps=3, batch=Batch(batch.inputs * 9, batch.targets))
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)


def test_token_ids_and_regression_targets_come_from_the_batch() -> None:
    class Checked(nn.Sequential):
        def forward(self, tokens: Tensor) -> Tensor:
            assert set(tokens.unique().tolist()) <= {1, 5, 8}
            outputs: Tensor = super().forward(tokens)
            return outputs

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        assert set(targets.unique().tolist()) <= {0.0, 1.0}
        return F.binary_cross_entropy_with_logits(outputs, targets)

    model = Checked(nn.Embedding(9, 4), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2))
    tokens = torch.tensor([1, 5, 8])[torch.randint(3, (8, 3))]
    targets = torch.randint(2, (8, 2)).float()
    start = initialize(copy.deepcopy(model), "kaiming_normal", seed=0, embedding="default")
    initialize(model, "metainit", steps=2, seed=0, batch=(tokens, targets), loss=loss)
    assert not torch.equal(model[0].weight, start[0].weight)


@pytest.mark.parametrize("tokens", [3, 6])
def test_labels_are_drawn_from_all_classes_wherever_these_are(tokens: int) -> None:
    """Scores of tokens are (batch, tokens, classes), those of pixels (batch, classes, pixels)."""
    seen: dict[int, set[int]] = {1: set(), 2: set()}
    for place in seen:

        def loss(outputs: Tensor, targets: Tensor, place: int = place) -> Tensor:
            seen[place] |= set(targets.flatten().tolist())
            return F.cross_entropy(outputs.movedim(place, 1), targets)

        model = nn.Sequential(nn.Linear(5, tokens * 4), nn.Unflatten(1, (tokens, 4) if place == 2 else (4, tokens)))
        batch = torch.randn(40, 5), torch.zeros(40, tokens, dtype=torch.int64)
        initialize(model, "metainit", steps=2, seed=0, batch=batch, loss=loss)
    assert seen == {1: {0, 1, 2, 3}, 2: {0, 1, 2, 3}}


def test_normalized_networks_are_differentiated_three_times() -> None:
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
    model.eval()
    model[0].weight.requires_grad_(False)
    start = copy.deepcopy(model)
    batch = Batch(torch.randn(6, 2, 4, 4), torch.randint(3, (6,)))
    outcome = initializer("metainit", steps=2).apply(model, seed=0, batch=batch)
    assert {"0.weight", "4.weight"} <= outcome.changed  # frozen ones too
    assert not model[0].weight.requires_grad
    assert model[4].weight.requires_grad
    assert not model.training
    assert not model._forward_hooks
    assert model[0].weight.grad is None
    for (name, buffer), old in zip(model.named_buffers(), start.buffers(), strict=True):
        torch.testing.assert_close(buffer, old, rtol=0, atol=0, msg=name)


def test_same_seed_same_bits() -> None:
    def weights(seed: int) -> dict[str, Tensor]:
        return initialize(network(nn.ReLU), "metainit", steps=3, seed=seed, batch=clusters(0)).state_dict()

    torch.testing.assert_close(weights(4), weights(4), rtol=0, atol=0)
    assert not torch.equal(weights(4)["0.weight"], weights(5)["0.weight"])


@pytest.mark.parametrize(
    "change, message",
    [
        ({"data": "randon"}, r"unknown data of metainit 'randon'\. Did you mean 'random'\?"),
        ({"steps": 0}, "metainit needs steps >= 1.*got 0"),
        ({"momentum": 1.0}, "0 <= momentum < 1.*got 50, 0.1, 1.0"),
        ({"learning_rate": 0}, "learning_rate > 0"),
        ({"batch": None}, "metainit needs data"),
        ({"batch": clusters(0).inputs}, "metainit needs targets"),
        ({"batch": (clusters(0).inputs[:1], clusters(0).targets[:1])}, "at least 2 samples"),
        ({"batch": (clusters(0).inputs / 0, clusters(0).targets)}, "not finite"),
        ({"weight": {"name": "normal", "std": 1e30}}, "the gradient quotient is nan in step 0 of metainit"),
    ],
)
def test_mistakes(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        initialize(network(nn.ReLU), "metainit", **{"batch": clusters(0), **change})


def recorded(model: nn.Sequential) -> list[Tensor]:
    """What the model, or a copy of it, is given in each step, from now on."""
    seen: list[Tensor] = []
    model[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    return seen


def test_each_step_draws_anew_and_the_end_is_measured_as_the_start_was() -> None:
    model = nn.Sequential(nn.Linear(20, 4))
    given = recorded(model)
    chosen = initializer("metainit", steps=3, learning_rate=1e-12)
    numbers = chosen.apply(model, seed=0, batch=clusters(0)).numbers
    first, second, third, end = given[-4:]  # three steps and the end
    assert torch.equal(first, end)
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    assert numbers["gradient_quotient_end"] == pytest.approx(numbers["gradient_quotient_start"], rel=1e-5)


def test_tokens_and_regression_targets_are_drawn_in_another_order() -> None:
    wanted: list[Tensor] = []

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        wanted.append(targets.clone())
        return F.mse_loss(outputs, targets)

    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2))
    given = recorded(model)
    tokens, targets = torch.arange(60).view(20, 3) % 9, torch.arange(40.0).view(20, 2)
    initialize(model, "metainit", steps=2, seed=0, batch=(tokens, targets), loss=loss)
    assert len(wanted) >= 3
    for seen in given[-3:]:
        assert seen.shape == tokens.shape
        assert not torch.equal(seen, tokens)
    for drawn in wanted[-3:]:
        assert drawn.shape == targets.shape
        assert not torch.equal(drawn, targets)
        assert set(drawn[:, 1].sub(drawn[:, 0]).tolist()) == {1.0}  # rows stay whole


def test_without_momentum_a_norm_moves_by_the_rate_at_each_step() -> None:
    model = initialize(nn.Linear(20, 4), "metainit", steps=1, momentum=0.0, learning_rate=0.25, batch=clusters(0))
    start = initialize(nn.Linear(20, 4), "kaiming_normal")
    assert abs(float(model.weight.detach().norm() - start.weight.detach().norm())) == pytest.approx(0.25, rel=1e-4)


def test_an_epsilon_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match=r"epsilon > 0, got 50, 0\.1, 0\.5, 0"):
        initialize(network(nn.ReLU), "metainit", batch=clusters(0), epsilon=0.0)
