"""The same weights whatever torch's global state is, which stays as it is."""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from every_option import FEW_STEPS, IMAGES, METHODS, NAMES, TARGETS, apply, model_for, normed, same
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from initbench.init import describe, initialize, initializer


@contextmanager
def settings(set_to: Callable[[Any], object], value: Any, afterwards: Any) -> Iterator[None]:
    set_to(value)
    try:
        yield
    finally:
        set_to(afterwards)


class Watching(TorchFunctionMode):
    """A mode of the user's own, which sees every function that is called."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "default device meta": lambda: settings(torch.set_default_device, "meta", None),
    "default device cpu": lambda: settings(torch.set_default_device, "cpu", None),
    "with meta": lambda: torch.device("meta"),
    "bfloat16": lambda: settings(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "float16": lambda: settings(torch.set_default_dtype, torch.float16, torch.float32),
    "float64": lambda: settings(torch.set_default_dtype, torch.float64, torch.float32),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "deterministic": lambda: settings(torch.use_deterministic_algorithms, True, False),
    "function mode": Watching,
    "anomaly": lambda: torch.autograd.set_detect_anomaly(True),
}


# torch says that it is slow.
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
@pytest.mark.parametrize("name", NAMES)
def test_no_global_state_changes_the_weights(name: str) -> None:
    expected = apply(model_for(name), name)
    for state, entered in STATES.items():
        model = model_for(name)
        with entered():
            apply(model, name)
        assert same(model, expected), state


@pytest.mark.parametrize("name", ["orthogonal", "default", "mean_field", "kaiming_normal", "lsuv"])
@pytest.mark.parametrize("state", STATES)
def test_no_global_state_changes_the_table_or_the_plan(name: str, state: str) -> None:
    expected = describe(model_for(name), name, batch=IMAGES)
    model = model_for(name)
    with STATES[state]():
        found = describe(model, name, batch=IMAGES)
        planned = [assignment.rule for assignment in initializer(name).plan(model)]
    assert expected.equals(found)
    assert planned == list(expected["rule"])


@pytest.mark.parametrize("name", METHODS)
def test_a_float64_model_is_the_same_under_its_own_default_dtype(name: str) -> None:
    expected = apply(model_for(name).double(), name)
    model = model_for(name).double()
    with STATES["float64"]():
        apply(model, name)
    assert same(model, expected)


class Stateful(nn.Module):
    """A model whose forward pass relies on the default dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNNCell(6, 4)

    def forward(self, images: Tensor) -> Tensor:
        state = torch.zeros(len(images), 4)
        for row in images[:, 0].unbind(1):
            state = self.cell(row, state)
        return state


def test_a_forward_pass_may_rely_on_the_default_dtype_of_its_model() -> None:
    with STATES["float64"]():
        model = apply(Stateful(), "metainit")
    assert model.cell.weight_hh.dtype == torch.float64


@pytest.mark.parametrize("name", NAMES)
def test_a_model_built_in_inference_mode_gets_the_same_weights_and_remains_one(name: str) -> None:
    expected = apply(model_for(name), name)
    with torch.inference_mode():
        model = model_for(name)
    apply(model, name)
    assert same(model, expected)
    assert all(parameter.is_inference() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv", "gradinit"])
def test_parametrized_weights_built_in_inference_mode_are_set_too(name: str) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = normed()
    with torch.inference_mode():
        model = copy.deepcopy(expected)
    assert same(apply(model, name), apply(expected, name))


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_made_in_inference_mode_or_with_gradients_is_used(name: str) -> None:
    expected = apply(model_for(name), name)
    with torch.inference_mode():
        inputs = IMAGES.clone()
    for images in (inputs, IMAGES.clone().requires_grad_() * 1):
        model = initialize(model_for(name), name, batch=(images, TARGETS), **FEW_STEPS.get(name, {}))
        assert same(model, expected)


@pytest.mark.parametrize("name", METHODS)
def test_a_batch_in_another_dtype_is_used_in_that_of_the_model(name: str) -> None:
    expected = apply(model_for(name), name)
    model = initialize(model_for(name), name, batch=(IMAGES.double(), TARGETS), **FEW_STEPS.get(name, {}))
    assert same(model, expected)


def test_a_batch_on_the_meta_device_is_refused() -> None:
    with pytest.raises(ValueError, match="lsuv was given a batch on the meta device"):
        initialize(model_for("lsuv"), "lsuv", batch=IMAGES.to("meta"))


@pytest.mark.parametrize("name", NAMES)
def test_the_global_generators_of_torch_numpy_and_python_stay_as_they_are(name: str) -> None:
    model = model_for(name)
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002 - the global generator is what this is about
    expected = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002 - the global generator is what this is about
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002 - the global generator is what this is about
    apply(model, name)
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()) == expected  # noqa: NPY002 - the global generator is what this is about


class FromNumPy(nn.Linear):
    def reset_parameters(self) -> None:
        """Draw from the global generators of NumPy and Python."""
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(np.random.randn(*self.weight.shape)))  # noqa: NPY002 - the global generator is what this is about
            self.bias.fill_(random.random())


def test_a_layer_that_draws_from_numpy_or_python_is_as_reproducible() -> None:
    one, other, third = (initialize(FromNumPy(4, 3), "default", seed=seed) for seed in (1, 1, 2))
    assert same(one, other)
    assert not torch.equal(one.weight, third.weight)
    assert not torch.equal(one.bias, third.bias)


@pytest.mark.parametrize("name", ["orthogonal", "spectral", "looks_linear", "delta_orthogonal", "orthogonal_conv"])
def test_the_number_of_threads_does_not_change_the_weights(name: str) -> None:
    """Large enough for QR and SVD to share the work, and so to round in another way."""
    layers = [nn.Conv2d(192, 192, 3, padding=1)] if "conv" in name or "delta" in name else [nn.Linear(256, 256)]
    before, drawn = torch.get_num_threads(), []
    for threads in (1, 2):
        model = nn.Sequential(*copy.deepcopy(layers), nn.ReLU(), *copy.deepcopy(layers))
        with settings(torch.set_num_threads, threads, before):
            drawn.append(initialize(model, name, seed=0))
            assert torch.get_num_threads() == threads
    assert same(*drawn)
