"""Sinusoidal weights: the formula entry by entry, what follows from it, and where it is zero."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from initbench.init import describe, initialize


def weight_of(layer: nn.Module, seed: int = 0) -> Tensor:
    return initialize(layer, "sinusoidal", seed=seed).weight.detach()


@cache
def by_hand(outputs: int, inputs: int) -> Tensor:
    """Equation by equation, in Python's floats: sines, divided by their standard deviation."""
    rows = [
        [math.sin((i + 1) * (2 * math.pi * j / inputs + 2 * math.pi / outputs)) for j in range(inputs)]
        for i in range(outputs)
    ]
    entries = [entry for row in rows for entry in row]
    mean = sum(entries) / len(entries)
    variance = sum((entry - mean) ** 2 for entry in entries) / (len(entries) - 1)
    amplitude = math.sqrt(2 / (outputs + inputs) / variance)
    return torch.tensor([[amplitude * entry for entry in row] for row in rows])


@pytest.mark.parametrize("outputs, inputs", [(5, 7), (7, 5), (6, 6), (1, 3), (3, 1), (40, 11), (300, 200)])
def test_matrices_are_the_formula(outputs: int, inputs: int) -> None:
    torch.testing.assert_close(weight_of(nn.Linear(inputs, outputs)), by_hand(outputs, inputs), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_a_convolution_is_one_matrix_whatever_its_groups(groups: int) -> None:
    weight = weight_of(nn.Conv2d(6, 12, 3, groups=groups))
    torch.testing.assert_close(weight.flatten(1), by_hand(12, 54 // groups), atol=1e-6, rtol=1e-5)


def test_a_transposed_convolution_has_its_outputs_as_rows() -> None:
    weight = weight_of(nn.ConvTranspose1d(4, 5, 3))
    torch.testing.assert_close(weight.transpose(0, 1).flatten(1), by_hand(5, 12), atol=1e-6, rtol=1e-5)


def test_each_gate_is_a_matrix_by_itself() -> None:
    for gate in initialize(nn.LSTM(3, 5), "sinusoidal").weight_ih_l0.detach().chunk(4):
        torch.testing.assert_close(gate, by_hand(5, 3))


@pytest.mark.parametrize("layer", [nn.Linear(30, 20), nn.Linear(20, 30), nn.Conv2d(3, 16, 5)])
def test_the_variance_is_2_over_the_sum_of_outputs_and_inputs(layer: nn.Module) -> None:
    weight = weight_of(layer)
    variance = 2 / (len(weight) + weight[0].numel())
    assert float(weight.var()) == pytest.approx(variance, rel=1e-5)
    assert describe(layer, "sinusoidal").loc[0, "std_expected"] == pytest.approx(math.sqrt(variance))


def test_nothing_is_random() -> None:
    assert torch.equal(weight_of(nn.Linear(9, 8), seed=0), weight_of(nn.Linear(9, 8), seed=1))


@pytest.mark.parametrize("size", [7, 12])
def test_half_of_a_square_weight_is_the_negative_of_the_other_half(size: int) -> None:
    weight = weight_of(nn.Linear(size, size))
    for i in range(size - 1):
        torch.testing.assert_close(weight[size - 2 - i], -weight[i], atol=1e-6, rtol=0)
    assert int(torch.linalg.matrix_rank(weight, rtol=1e-4)) == (size - 1) // 2
    dead = [i for i in range(size) if float(weight[i].abs().max()) < 1e-6]
    assert dead == ([size - 1] if size % 2 else [size // 2 - 1, size - 1])


@pytest.mark.parametrize("outputs, inputs", [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_where_every_sine_is_zero_it_is_refused(outputs: int, inputs: int) -> None:
    with pytest.raises(ValueError, match=rf"weight has shape \({outputs}, {inputs}\): sinusoidal needs more than two"):
        initialize(nn.Linear(inputs, outputs), "sinusoidal")


def test_a_vector_is_refused() -> None:
    with pytest.raises(ValueError, match=r"bias has shape \(4,\): sinusoidal needs at least two dimensions"):
        initialize(nn.Linear(3, 4), "normal", bias="sinusoidal")
