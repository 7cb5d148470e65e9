"""Running statistics are those of a new model."""

from contextlib import ExitStack

import pytest
import torch
from every_option import IMAGES, apply, model_for


@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv", "zero_gamma"])
def test_running_statistics_are_those_of_a_new_model(name: str) -> None:
    with ExitStack() as stack:
        model = model_for(name)
        stack.enter_context(torch.no_grad())
        model(IMAGES + 3)
    norm = model[2].branch[1]
    assert int(norm.num_batches_tracked) == 1
    apply(model, name)
    assert (norm.running_mean == 0).all()
    assert (norm.running_var == 1).all()
    assert int(norm.num_batches_tracked) == 0
