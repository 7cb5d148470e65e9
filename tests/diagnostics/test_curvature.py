"""What curvature says, against whole Hessians, quadratics worked out by hand and losses evaluated directly."""

import copy
import random
from typing import Any

import numpy as np
import pytest
import torch
from dense import gradient_and_hessian, largest
from once_differentiable import Doubling
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench import curvature, diagnose
from initbench.diagnostics.adam import preconditioner
from initbench.diagnostics.scalars import scalars
from initbench.model.gpt import GPT
from initbench.model.recurrent import gru, lstm


def gaussian(samples: int, *shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two classes out of ten, which are soon learned: the gradient is far from zero."""
    inputs = torch.randn(samples, *shape, generator=torch.Generator().manual_seed(seed))
    return inputs, (inputs.flatten(1)[:, 0] > 0).long()


def mlp() -> nn.Module:
    """2,278 parameters."""
    return nn.Sequential(nn.Linear(20, 40), nn.Tanh(), nn.Linear(40, 28), nn.ReLU(), nn.Linear(28, 10))


def test_the_largest_eigenvalue_is_that_of_the_whole_hessian() -> None:
    model, batch = mlp(), gaussian(64, 20)
    found = curvature(model, batch)
    expected = largest(gradient_and_hessian(model, batch)[1])
    assert found.hessian_largest == pytest.approx(expected, rel=0.01)
    assert found.critical_learning_rate == pytest.approx(2 / expected, rel=0.01)
    assert found.missing == {}
    assert found.preconditioned_hessian_largest is None


@pytest.mark.parametrize("steps", [0, 3])
def test_the_preconditioned_one_is_that_of_the_whole_matrix(steps: int) -> None:
    """Before the first step by the gradient of this batch, later by the state of the optimizer."""
    model, batch = mlp(), gaussian(64, 20)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001, eps=1e-4, betas=(0.8, 0.99))
    for step in range(steps):
        optimizer.zero_grad()
        inputs, targets = gaussian(64, 20, seed=step + 1)
        F.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    found = curvature(model, batch, optimizer=optimizer)
    gradient, hessian = gradient_and_hessian(model, batch)
    parameters = list(model.parameters())
    parts = gradient.split([parameter.numel() for parameter in parameters])
    shaped = [part.view_as(parameter) for part, parameter in zip(parts, parameters, strict=True)]
    root = preconditioner(optimizer, parameters, shaped).rsqrt()
    expected = largest(root[:, None] * hessian * root)
    assert found.preconditioned_hessian_largest == pytest.approx(expected, rel=0.01)
    assert found.preconditioned_critical_learning_rate == pytest.approx(3.6 / 0.2 / expected, rel=0.01)
    assert found.missing == {}


def test_the_loss_along_the_gradient_is_that_of_the_weights_there() -> None:
    model, batch = mlp(), gaussian(64, 20)
    found = curvature(model, batch)
    assert found.critical_learning_rate is not None
    fractions = [step / found.critical_learning_rate for step in found.step_along_gradient]
    assert fractions == pytest.approx([0, 1 / 8, 1 / 4, 1 / 2, 1, 2])
    gradients = torch.autograd.grad(F.cross_entropy(model(batch[0]), batch[1]), list(model.parameters()))
    for step, loss in zip(found.step_along_gradient, found.loss_along_gradient, strict=True):
        moved = copy.deepcopy(model)
        with torch.no_grad():
            for parameter, gradient in zip(moved.parameters(), gradients, strict=True):
                parameter -= step * gradient
        assert loss == pytest.approx(float(F.cross_entropy(moved(batch[0]), batch[1]).detach()), rel=1e-5)
    assert found.loss_along_gradient[0] == pytest.approx(diagnose(model, batch).net["loss"], rel=1e-6)


def test_equal_samples_have_no_noise_and_left_over_ones_do_not_count() -> None:
    sample = torch.randn(1, 20, generator=torch.Generator().manual_seed(0))
    model = mlp()
    found = curvature(model, (sample.repeat(40, 1), torch.zeros(40, dtype=torch.long)))
    assert found.gradient_noise_scale == pytest.approx(0, abs=1e-6)
    inputs, targets = gaussian(40, 20)
    whole = curvature(model, (inputs[:32], targets[:32])).gradient_noise_scale
    assert curvature(model, (inputs, targets)).gradient_noise_scale == whole


def test_a_regression_has_the_hessian_of_its_inputs() -> None:
    model, (inputs, _) = nn.Linear(30, 1, bias=False), gaussian(64, 30)
    found = curvature(model, (inputs, torch.zeros(64, 1)), loss=F.mse_loss)
    assert found.hessian_largest == pytest.approx(2 / 64 * largest(inputs.double().T @ inputs.double()), rel=0.01)


def test_nothing_changes() -> None:
    """Neither modes, statistics of norms, gradients, the optimizer's state nor random numbers."""
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten(), nn.Linear(784, 10)
    )
    optimizer = torch.optim.Adam(model.parameters())
    model[0].weight.requires_grad_(False)
    batch = gaussian(16, 1, 16, 16)
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    optimizer.step()
    model.eval()
    before, state = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    generators = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[index, union-attr]  # noqa: NPY002 - the global ones
    found = curvature(model, batch, optimizer=optimizer)
    assert found.missing == {}
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == generators[1:]  # type: ignore[index, union-attr]  # noqa: NPY002 - as above
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == [False] + [True] * 5
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        assert gradient is None if parameter.grad is None else torch.equal(parameter.grad, gradient)
    assert not any(module.training for module in model.modules())
    assert str(optimizer.state_dict()) == str(state)


def test_the_same_seed_has_the_same_bits_and_another_one_says_the_same() -> None:
    model, batch = nn.Sequential(mlp(), nn.Dropout(0.5)), gaussian(64, 20)
    optimizer = torch.optim.Adam(model.parameters())
    found = [curvature(model, batch, optimizer=optimizer, seed=seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert found[0].hessian_largest == pytest.approx(found[2].hessian_largest, rel=0.01)


def test_frozen_parameters_are_held_constant() -> None:
    model, batch = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 10)), gaussian(32, 6)
    model[0].requires_grad_(False)
    found = curvature(model, batch)
    last = copy.deepcopy(model[1])
    inputs = model[0](batch[0])
    assert found.hessian_largest == pytest.approx(largest(gradient_and_hessian(last, (inputs, batch[1]))[1]), rel=0.01)


def test_attention_is_differentiated_twice() -> None:
    """Though the kernel that runs otherwise has no second derivative, on a CPU too."""
    attention = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    model, batch = nn.Sequential(attention, nn.Flatten(), nn.Linear(32, 10)), gaussian(16, 4, 8)
    assert curvature(model, batch).missing == {}
    attention.eval()
    value = F.cross_entropy(model(batch[0]), batch[1])
    gradient = torch.autograd.grad(value, attention.self_attn.in_proj_weight, create_graph=True)[0]
    with pytest.raises(RuntimeError, match=r"derivative for .*attention"):
        gradient.sum().backward()


def test_a_small_gpt_has_the_largest_eigenvalue_of_its_whole_hessian() -> None:
    """With tied embeddings, and logits whose last dimension has the classes."""
    model = GPT(vocab_size=11, context_length=6, depth=1, width=8, heads=2)
    batch = torch.randint(11, (8, 6), generator=torch.Generator().manual_seed(0)), torch.zeros(8, 6, dtype=torch.long)
    found = curvature(model, batch, optimizer=torch.optim.AdamW(model.parameters()))
    assert found.missing == {}
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        _, hessian = gradient_and_hessian(model, batch, lambda out, y: F.cross_entropy(out.flatten(0, 1), y.flatten()))
    assert found.hessian_largest == pytest.approx(largest(hessian), rel=0.01)


@pytest.mark.parametrize("make", [lstm, gru])
def test_recurrent_networks_are_differentiated_twice(make: Any) -> None:
    model = make(in_channels=1, image_size=8, num_classes=10, hidden_size=8)
    found = curvature(model, gaussian(16, 1, 8, 8), optimizer=torch.optim.Adam(model.parameters()))
    assert found.missing == {}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_it_is_computed_in_float32_or_more(dtype: torch.dtype) -> None:
    model, (inputs, targets) = mlp().bfloat16(), gaussian(64, 20)
    expected = curvature(copy.deepcopy(model).float(), (inputs, targets)).hessian_largest
    assert curvature(model.to(dtype), (inputs, targets)).hessian_largest == pytest.approx(expected, rel=0.01)


def test_what_cannot_be_computed_is_missing_and_the_rest_is_not() -> None:
    model = nn.Sequential(nn.Linear(20, 8), Doubling(), nn.Linear(8, 10))
    found = curvature(model, gaussian(64, 20), optimizer=torch.optim.Adam(model.parameters()))
    assert found.hessian_largest is None
    assert found.critical_learning_rate is None
    assert found.loss_along_gradient == ()
    assert found.gradient_noise_scale is not None
    assert set(found.missing) == {"hessian_largest", "preconditioned_hessian_largest"}
    assert found.missing["hessian_largest"] == "a function in the model or in the loss has no second derivative"
    assert [row["quantity"] for row in found.rows()] == ["gradient_noise_scale"]
    assert "hessian_largest: a function in the model" in str(found)


def test_weights_that_are_not_finite_have_no_curvature() -> None:
    model = mlp()
    with torch.no_grad():
        model[0].weight.fill_(torch.nan)  # type: ignore[index, union-attr, operator]  # of a linear layer
    found = curvature(model, gaussian(64, 20))
    assert set(found.missing) == {"hessian_largest", "gradient_noise_scale"}


def test_other_optimizers_do_not_precondition_and_one_of_another_model_is_told() -> None:
    model, batch = mlp(), gaussian(64, 20)
    assert curvature(model, batch, optimizer=torch.optim.SGD(model.parameters(), lr=0.1)).missing == {}
    found = curvature(model, batch, optimizer=torch.optim.Adam(mlp().parameters()))
    assert found.missing == {
        "preconditioned_hessian_largest": "the optimizer lacks a parameter of the model that requires a gradient"
    }


@pytest.mark.parametrize(
    "batch, loss, message",
    [
        (torch.ones(4, 20), F.cross_entropy, "curvature needs a batch"),
        ((torch.ones(1, 20), torch.zeros(1)), F.cross_entropy, "curvature needs targets for two inputs or more"),
        ((torch.ones(4, 3), torch.zeros(4)), F.cross_entropy, "curvature fails in layer 0"),
        ((torch.ones(4, 20), torch.zeros(4)), lambda out, y: out.detach().sum(), "the loss does not depend on the"),
        ((torch.ones(4, 20), torch.zeros(4)), lambda out, y: out, "the loss must be a scalar"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(batch: Any, loss: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        curvature(mlp(), batch, loss=loss)
    assert "\n" not in str(caught.value)


def test_a_model_without_anything_to_train_is_refused() -> None:
    with pytest.raises(ValueError, match="curvature needs a parameter that requires a gradient"):
        curvature(mlp().requires_grad_(False), gaussian(64, 20))


def test_rows_scalars_and_print_have_every_number() -> None:
    model, batch = mlp(), gaussian(64, 20)
    found = curvature(model, batch, optimizer=torch.optim.Adam(model.parameters()))
    rows = found.rows()
    assert {row["layer"] for row in rows} == {""}
    assert [(row["quantity"], row["index"]) for row in rows[:5]] == [
        ("hessian_largest", 0),
        ("critical_learning_rate", 0),
        ("preconditioned_hessian_largest", 0),
        ("preconditioned_critical_learning_rate", 0),
        ("gradient_noise_scale", 0),
    ]
    assert [row["value"] for row in rows[-6:]] == list(found.loss_along_gradient)
    told = scalars(rows)
    assert len(told) == len(rows)
    assert told["hessian_largest"] == found.hessian_largest
    assert told["loss_along_gradient/5"] == found.loss_along_gradient[-1]
    for number in (found.hessian_largest, found.preconditioned_hessian_largest):
        assert f"{number:.4g}" in str(found)
    assert f"{found.products} products" in str(found)
    assert found.seconds > 0
