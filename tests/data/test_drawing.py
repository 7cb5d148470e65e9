"""What is drawn of toy data: points and functions in their own units, whatever models see."""

from typing import Any

import numpy as np
import pytest
import torch

from initbench.data import build, curves
from initbench.data.drawing import drawing

CPU = torch.device("cpu")
DATA: dict[str, Any] = {"_target_": "initbench.data.curves", "function": "peaks", "size": 400, "noise": 0.0}


@pytest.mark.parametrize("function", ["chirp", "peaks"])
@pytest.mark.parametrize("val_size, split", [(50, None), (0.25, None), (0.25, 3)])
def test_a_perfect_model_has_learned_the_function(
    settings: dict[str, Any], function: str, val_size: float, split: int | None
) -> None:
    config = {**settings, **DATA, "function": function, "val_size": val_size}
    _, outputs = build(config, seed=0, split=split).tensors("test", CPU)
    drawn = drawing(config, split)
    learned = drawn.learned(outputs.double().numpy())
    np.testing.assert_allclose(learned, drawn.targets, atol=1e-5)
    if function == "peaks":
        np.testing.assert_allclose(drawn.truth, drawn.targets, atol=1e-6)


def test_a_true_function_of_one_variable_is_a_line_without_noise(settings: dict[str, Any]) -> None:
    drawn = drawing({**settings, **DATA, "function": "sine", "noise": 0.5})
    x = drawn.truth_inputs[:, 0]
    assert (np.diff(x) > 0).all()
    assert (x[0], x[-1]) == (-1, 1)
    np.testing.assert_allclose(drawn.truth, np.sin(2 * np.pi * x), atol=1e-5)
    assert np.std(drawn.targets - np.sin(2 * np.pi * drawn.inputs[:, 0])) == pytest.approx(0.5, rel=0.2)


def test_of_two_classes_the_probability_of_the_second_is_drawn(settings: dict[str, Any]) -> None:
    drawn = drawing({**settings, **DATA, "function": "spirals"})
    labels = curves("spirals", 400, 0.0).test_targets.numpy()
    np.testing.assert_array_equal(drawn.truth, labels)
    logits = np.random.default_rng(0).normal(size=(len(labels), 2))
    expected = torch.from_numpy(logits).softmax(1)[:, 1].numpy()
    np.testing.assert_allclose(drawn.learned(logits), expected)


@pytest.mark.parametrize("shape", [(201, 2), (200, 1), (201, 0)])
def test_outputs_of_another_shape_are_not_drawn(settings: dict[str, Any], shape: tuple[int, int]) -> None:
    assert drawing({**settings, **DATA}).learned(np.zeros(shape)) is None
