"""The global generators of Python, NumPy and torch: seeded, read and put back together."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch

from initbench import generators

DRAWS: dict[str, Callable[[], object]] = {
    "python": random.random,
    "python_gauss": lambda: random.gauss(0, 1),  # draws two numbers, and keeps the second one
    "numpy": lambda: np.random.random(3).tolist(),  # noqa: NPY002 - the global one is what this is about
    "numpy_normal": lambda: np.random.standard_normal(),  # noqa: NPY002 - keeps a second number as well
    "torch": lambda: torch.rand(3).tolist(),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_seed_is_that_of_each(draw: Callable[[], object]) -> None:
    drawn = []
    for seed in (3, 4, 3):
        generators.seed_all(seed)
        drawn.append(draw())
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_each_goes_on_from_the_state_that_was_read(draw: Callable[[], object]) -> None:
    draw()
    before = generators.states()
    expected = [draw() for _ in range(3)]
    generators.restore(before)
    assert [draw() for _ in range(3)] == expected


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_what_is_drawn_within_leaves_no_trace_after_an_error_either(draw: Callable[[], object]) -> None:
    generators.seed_all(0)
    expected = draw()
    generators.seed_all(0)
    with generators.undisturbed():
        draw()
    with pytest.raises(KeyError), generators.undisturbed():
        draw()
        raise KeyError
    assert draw() == expected
