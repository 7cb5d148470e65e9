"""Toy functions and spirals, and rows of numbers in general."""

import math
from typing import Any, get_args

import pytest
import torch

from initbench.data import Vectors, build, curves
from initbench.data.functions import Function, value_of

CPU = torch.device("cpu")


@pytest.mark.parametrize("function", get_args(Function))
def test_a_function_is_the_same_each_time_and_has_its_values(function: Function) -> None:
    points, again = curves(function, 300, 0.0), curves(function, 300, 0.0)
    assert torch.equal(points.train_inputs, again.train_inputs)
    assert points.sizes.train_size == 300
    assert len(points.test_inputs) == 151
    if function == "spirals":
        assert points.classes
        assert points.train_targets.bincount().min() > 100
        assert points.train_inputs.norm(dim=1).max() <= 1 + 1e-6
    else:
        assert points.train_inputs.abs().max() <= 1
        torch.testing.assert_close(points.train_targets.squeeze(1), value_of(function, points.train_inputs))


@pytest.mark.parametrize("x", [-0.9, -0.35, 0.1, 0.7])
def test_values_by_hand(x: float) -> None:
    def value(function: Function, *at: float) -> float:
        return value_of(function, torch.tensor([at], dtype=torch.float64)).item()

    assert value("sine", x) == pytest.approx(math.sin(2 * math.pi * x))
    assert value("chirp", x) == pytest.approx(math.sin(2 * math.pi * (x + 1) ** 2))
    assert value("steps", x) == math.copysign(1, math.sin(3 * math.pi * x))
    assert value("waves", x, 0.3) == pytest.approx(math.sin(math.pi * x) * math.cos(2 * math.pi * 0.3))
    bumps = [(1, -0.4, 0.4, 0.25), (1.5, 0.5, 0.3, 0.2), (-1, 0, -0.5, 0.3)]
    far = [height * math.exp(-((x - u) ** 2 + (0.3 - v) ** 2) / (2 * width**2)) for height, u, v, width in bumps]
    assert value("peaks", x, 0.3) == pytest.approx(sum(far))


def test_spirals_by_hand() -> None:
    """One point in two lies on each, turned by half a turn, and as many on each piece of the same length."""
    points = curves("spirals", 4000, 0.0)
    radius, labels = points.train_inputs.norm(dim=1), points.train_targets
    angle = 2 * math.pi * 1.75 * radius + math.pi * labels
    expected = radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], dim=1)
    torch.testing.assert_close(points.train_inputs, expected, atol=1e-4, rtol=0)
    assert radius.square().mean().item() == pytest.approx(0.5, abs=0.02)
    noisy = curves("spirals", 4000, 0.5)
    moved = (noisy.train_inputs - points.train_inputs).std().item()
    assert moved == pytest.approx(0.05, rel=0.05)


def test_noise_has_its_standard_deviation() -> None:
    points = curves("sine", 20_000, 0.3)
    error = points.train_targets.squeeze(1) - value_of("sine", points.train_inputs)
    assert error.std() == pytest.approx(0.3, rel=0.02)


def test_each_column_is_standardized_on_what_is_trained_on(settings: dict[str, Any]) -> None:
    source = {"_target_": "initbench.data.curves", "function": "peaks", "size": 400, "noise": 0.5}
    found = build({**settings, **source, "val_size": 100}, seed=0)
    inputs, targets = found.tensors("train", CPU)
    for values in (inputs[found.train], targets[found.train]):
        torch.testing.assert_close(values.mean(0), torch.zeros(values.shape[1]), atol=1e-5, rtol=0)
        torch.testing.assert_close(values.std(0, correction=0), torch.ones(values.shape[1]), atol=1e-5, rtol=0)
    assert inputs[found.val].mean(0).abs().max() > 1e-4  # the others follow the same rule, and have a mean of their own
    raw = curves("peaks", 400, 0.5)
    scale = raw.train_inputs[found.train].std(0, correction=0)
    torch.testing.assert_close(
        found.tensors("test", CPU)[0] * scale + raw.train_inputs[found.train].mean(0), raw.test_inputs
    )


def test_a_column_that_never_varies_becomes_zero(settings: dict[str, Any]) -> None:
    found = build({**settings, "_target_": f"{__name__}.constant_column"}, seed=0)
    inputs, _ = found.tensors("train", CPU)
    assert inputs[:, 0].abs().max() == 0
    assert inputs[:, 1].abs().max() > 0


def constant_column() -> Vectors:
    values = torch.arange(60.0)
    rows = torch.stack([torch.full((60,), 7.0), values], dim=1)
    return Vectors(rows, values[:, None], rows, values[:, None])


@pytest.mark.parametrize("name", ["flip", "crop_padding", "cutout"])
def test_what_is_for_images_is_refused(settings: dict[str, Any], name: str) -> None:
    source = {"_target_": "initbench.data.curves", name: 1 if name != "flip" else True}
    with pytest.raises(ValueError, match=rf"data.{name}=.* is for images, and data=random has rows of 1 number"):
        build({**settings, **source}, seed=0)


ROWS, NUMBERS, LABELS = torch.zeros(4, 2), torch.arange(4.0)[:, None], torch.tensor([0, 1, 0, 1])


@pytest.mark.parametrize(
    "parts, said",
    [
        ((ROWS[:0], NUMBERS[:0], ROWS, NUMBERS), "the train set is empty"),
        ((ROWS.double(), NUMBERS, ROWS, NUMBERS), "train inputs must be float32"),
        ((ROWS, NUMBERS.squeeze(1), ROWS, NUMBERS), r"train targets must be float32 of shape \(N, K\)"),
        ((ROWS, NUMBERS[:3], ROWS, NUMBERS), "for 4 inputs, got"),
        (
            (ROWS, NUMBERS, ROWS + torch.nan, NUMBERS),
            "test inputs must be finite numbers, and row 0 has one that is not",
        ),
        ((ROWS, NUMBERS, ROWS, NUMBERS / 0), "test targets must be finite"),
        ((ROWS, torch.ones(4, 1), ROWS, NUMBERS), "the targets to train on are all the same"),
        ((ROWS, NUMBERS, ROWS[:, :1], NUMBERS), "train inputs have 2 features but test inputs have 1"),
        ((ROWS, LABELS, ROWS, LABELS + 1, ("a", "b")), r"test labels must lie in \[0, 1\], got \[1, 2\]"),
        ((ROWS, NUMBERS, ROWS, LABELS, ("a", "b")), r"train targets must be int64 of shape \(N,\)"),
    ],
)
def test_malformed_rows_are_refused(parts: tuple[Any, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Vectors(*parts)
