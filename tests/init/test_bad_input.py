"""Models, batches and arguments at the edge: the right result, or one clear ValueError before anything is written."""

import copy
import inspect
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from initbench.init import Batch, initialize, initializer, rows
from initbench.init.scheme import find, options, read_option

INPUTS = torch.randn(32, 12, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(32) % 7


def perceptron() -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Linear(20, 7))


# `Beside` has no activation; which gain that means is tested in test_nonlinearity.py.
pytestmark = pytest.mark.filterwarnings("ignore:no activation module")


class Beside(nn.Module):
    """A linear layer, and beside it a parameter that takes no part in the forward pass."""

    def __init__(self, **parameters: nn.Parameter) -> None:
        super().__init__()
        for name, parameter in parameters.items():
            self.register_parameter(name, parameter)
        self.linear = nn.Linear(12, 7)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.linear(inputs)


def refuse(model: nn.Module, init: Any, message: str, **arguments: Any) -> None:
    """The one error, and a model that it left as it was."""
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        initialize(model, init, **arguments)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["sparse", "orthogonal", "eye", "delta_orthogonal", "xavier_normal", "mup", "siren"])
def test_a_scheme_for_matrices_is_no_policy_for_biases(name: str) -> None:
    refuse(perceptron(), "normal", r"3\.bias has shape \(7,\): .*(two dimensions|matrices)", bias=name)


@pytest.mark.parametrize("name", ["eye", "dirac", "partial_identity", "zero_hadamard"])
def test_six_dimensions_have_no_identity(name: str) -> None:
    refuse(Beside(weight=nn.Parameter(torch.zeros((2,) * 6))), name, r"weight has shape \(2, 2, 2, 2, 2, 2\)")


@pytest.mark.parametrize("name", ["orthogonal", "kaiming_normal", "sparse"])
def test_six_dimensions_are_a_kernel_of_four(name: str) -> None:
    model = initialize(Beside(weight=nn.Parameter(torch.full((2,) * 6, torch.nan))), name)
    assert model.weight.isfinite().all()
    if name == "orthogonal":
        rows_ = model.weight.flatten(1)
        assert torch.allclose(rows_ @ rows_.T, rows_.norm(dim=1)[0] ** 2 * torch.eye(2), atol=1e-5)


@pytest.mark.parametrize("name", ["delta_orthogonal", "orthogonal_conv"])
def test_a_convolution_that_narrows_cannot_be_orthogonal(name: str) -> None:
    refuse(nn.Conv2d(8, 4, 3), name, "weight has 8 input and 4 output channels in each group")


@pytest.mark.parametrize("name", ["normal", "orthogonal", "default", "lsuv", "kraehenbuehl"])
@pytest.mark.parametrize("shape", [(0, 4), (4, 0)])
def test_a_parameter_without_elements_is_kept_and_listed(name: str, shape: tuple[int, int]) -> None:
    model = Beside(weight=nn.Parameter(torch.zeros(shape)))
    first, second, _ = rows(initializer(name).apply(model, seed=0, batch=Batch(INPUTS, TARGETS)))
    assert (first["parameter"], first["scheme"], first["std"]) == ("weight", "kept (empty)", None)
    assert first["std_expected"] is None
    assert second["parameter"] == "linear.weight"


@pytest.mark.parametrize("name", ["normal", "default", "lsuv", "kraehenbuehl", "gradinit"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_a_parameter_of_integers_is_kept_and_listed(name: str, dtype: torch.dtype) -> None:
    model = Beside(weight=nn.Parameter(torch.ones(3, 3, dtype=dtype), requires_grad=False))
    steps = {"steps": 1} if name == "gradinit" else {}
    first = rows(initializer(name, **steps).apply(model, seed=0, batch=Batch(INPUTS, TARGETS)))[0]
    assert first["scheme"] == f"kept ({str(dtype).removeprefix('torch.')})"
    assert first["std_expected"] is None
    assert torch.equal(model.weight, torch.ones(3, 3, dtype=dtype))


@pytest.mark.parametrize("name", ["normal", "orthogonal", "lsuv"])
def test_a_complex_parameter_is_refused_by_name(name: str) -> None:
    weight = nn.Parameter(torch.ones(3, 3, dtype=torch.complex64))
    refuse(Beside(filter=weight), name, "filter is complex", other=0, batch=INPUTS)


def test_a_complex_parameter_may_be_kept() -> None:
    model = Beside(filter=nn.Parameter(torch.full((3, 3), 2j)))
    assert rows(initializer("normal").apply(model, seed=0))[0]["scheme"] == "kept (no reset_parameters)"
    assert (model.filter == 2j).all()


def test_meta_tensors_are_refused() -> None:
    with pytest.raises(ValueError, match="weight is on the meta device and has no memory"):
        initialize(nn.Linear(3, 3, device="meta"), "normal")


@pytest.mark.parametrize("name", ["normal", "lsuv", "default"])
def test_lazy_modules_are_refused_until_they_have_shapes(name: str) -> None:
    model = nn.Sequential(nn.LazyLinear(7))
    with pytest.raises(ValueError, match=r"0\.weight is lazy and has no shape yet"):
        initialize(model, name, batch=INPUTS)
    model(INPUTS)
    assert initialize(model, name, batch=INPUTS)[0].weight.isfinite().all()


def test_a_model_without_parameters_is_refused() -> None:
    refuse(nn.ReLU(), "normal", "ReLU has no parameters to initialize")


@pytest.mark.parametrize("name", ["ones", "lsuv", "kraehenbuehl"])
def test_frozen_parameters_are_initialized_and_stay_frozen(name: str) -> None:
    model, free = perceptron().requires_grad_(False), perceptron()
    initialize(model, name, batch=INPUTS)
    initialize(free, name, batch=INPUTS)
    for frozen, other in zip(model.parameters(), free.parameters(), strict=True):
        assert not frozen.requires_grad
        assert torch.equal(frozen, other)


class Tied(nn.Module):
    """Two layers with one weight: as one object, or as two over the same memory."""

    def __init__(self, by: str) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(12, 12), nn.Linear(12, 12)
        weight = self.first.weight
        self.second.weight = weight if by == "object" else nn.Parameter(weight.data)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(inputs))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("by", ["object", "memory"])
@pytest.mark.parametrize("name", ["normal", "default", "lsuv", "kraehenbuehl", "metainit"])
def test_tied_weights_are_listed_once_and_stay_tied(name: str, by: str, dtype: torch.dtype) -> None:
    model = Tied(by).to(dtype)
    if by == "memory":
        model.second.weight = nn.Parameter(model.first.weight.data)  # .to() has given each its own
    steps = {"steps": 1} if name == "metainit" else {}
    outcome = initializer(name, **steps).apply(model, seed=0, batch=Batch(INPUTS, TARGETS))
    assert [row["parameter"] for row in rows(outcome)] == ["first.weight", "first.bias", "second.bias"]
    assert model.first.weight.data_ptr() == model.second.weight.data_ptr()
    assert torch.equal(model.first.weight, model.second.weight)


@pytest.mark.parametrize("name", ["lsuv", "kraehenbuehl", "weight_norm_data"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_method_computes_in_fp32_for_narrow_parameters(name: str, dtype: torch.dtype) -> None:
    """It starts from the same draws, rounded: what comes back is within a few roundings of what fp32 gives."""
    wide, narrow = perceptron(), perceptron().to(dtype)
    for model in (wide, narrow):
        initialize(model, name, batch=(INPUTS.to(dtype), TARGETS))
    tolerance = 8 * torch.finfo(dtype).eps
    for expected, found in zip(wide.parameters(), narrow.parameters(), strict=True):
        assert found.dtype == dtype
        scale = float(expected.detach().abs().max()) or 1.0
        assert float((found.detach().float() - expected.detach()).abs().max()) <= tolerance * scale


def test_a_method_in_fp64_agrees_with_fp32() -> None:
    wide, narrow = perceptron().double(), perceptron()
    initialize(wide, "lsuv", batch=INPUTS.double())
    initialize(narrow, "lsuv", batch=INPUTS)
    assert wide[0].weight.dtype == torch.float64
    assert torch.allclose(wide[0].weight.float(), narrow[0].weight, atol=1e-5)


@pytest.mark.parametrize("name", ["orthogonal", "lsuv", "kraehenbuehl"])
def test_channels_last_stays_and_does_not_matter(name: str) -> None:
    images = torch.randn(16, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    other = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    for model in (plain, other):
        initialize(model, name, batch=images)
    assert other[2].weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(plain[2].weight, other[2].weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "name, batch, message",
    [
        ("lsuv", None, r"lsuv needs data: pass batch=\(inputs, targets\)"),
        ("lsuv", INPUTS[:1], "at least 2 samples, got 1"),
        ("lsuv", INPUTS[:0], "at least 2 samples, got 0"),
        ("lsuv", torch.tensor(1.0), "at least 2 samples, got 0"),
        ("lsuv", INPUTS.clone().fill_(torch.nan), "values that are not finite"),
        ("lsuv", INPUTS * torch.inf, "values that are not finite"),
        ("lsuv", INPUTS.index_fill(0, torch.tensor([31]), torch.nan), "values that are not finite"),
        ("lsuv", INPUTS.index_fill(1, torch.tensor([0]), -torch.inf), "values that are not finite"),
        ("gradinit", INPUTS, "gradinit needs targets"),
        ("gradinit", (INPUTS, None), "gradinit needs targets"),
        ("gradinit", (INPUTS, TARGETS[:3]), r"32 inputs and targets of shape \(3,\)"),
        ("gradinit", (INPUTS, TARGETS[0]), r"32 inputs and targets of shape \(\)"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(name: str, batch: Any, message: str) -> None:
    """The schemes have filled the model by then, and running statistics are reset; all is as it was."""
    model = perceptron()
    model[1].running_mean.fill_(3)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match=message):
        initialize(model, name, batch=batch)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    "batch, got",
    [
        (3, "int"),
        ("inputs", "str"),
        ({"inputs": INPUTS}, "dict"),
        (np.zeros((4, 12)), "ndarray"),
        ((INPUTS, TARGETS, TARGETS), "tuple of Tensor, Tensor, Tensor"),
        ((None, TARGETS), "tuple of NoneType, Tensor"),
        ((INPUTS, [1, 2]), "tuple of Tensor, list"),
        ((), "tuple of "),
    ],
)
def test_what_is_no_batch_is_refused_before_anything_is_written(batch: Any, got: str) -> None:
    refuse(perceptron(), "lsuv", f"batch must be a tensor of inputs or a pair .*, got {got}$", batch=batch)


@pytest.mark.parametrize(
    "init, arguments, message",
    [
        ("orthogonal", {"gain": "abc"}, "gain of orthogonal must be a number or null, got 'abc'"),
        ("orthogonal", {"gain": True}, "gain of orthogonal must be a number or null, got True"),
        ("orthogonal", {"gain": float("nan")}, "gain of orthogonal must be a number or null, got nan"),
        ("normal", {"std": None}, "std of normal must be a number, got None"),
        ("normal", {"std": -1}, "std must not be negative, got -1"),
        ("lsuv", {"max_tries": "many"}, "max_tries of lsuv must be a whole number, got 'many'"),
        ("lsuv", {"max_tries": 1.5}, "max_tries of lsuv must be a whole number, got 1.5"),
        ("chrono", {"t_max": "long"}, "t_max of chrono must be a number, got 'long'"),
        ("gradinit", {"optimizer": 1}, "optimizer of gradinit must be text, got 1"),
        ("xavier_normal", {"nonlinearity": 3}, "nonlinearity of xavier_normal must be text or null, got 3"),
        ("normal", {"bias": True}, "True is no initializer"),
        ("normal", {"bias": [1]}, r"\[1\] is no initializer"),
        ("normal", {"bias": {"value": 1}}, "names no initializer: add name: or _target_:"),
        ("normal", {"bias": {"name": "constant", "valeu": 1}}, "Did you mean 'value'"),
        ("normal", {"bais": 1}, "unknown key bais of normal. Did you mean 'bias'"),
        ("lsuv", {"wieght": "eye"}, "unknown key wieght of lsuv. Did you mean 'weight'"),
        ("irnn", {"wieght": "eye"}, "unknown key of irnn 'wieght'. Did you mean 'weight'"),
        ("normal", {"weight": "eye"}, "normal is itself what fills the weights, so weight= has no meaning"),
        (nn.init.normal_, {"weight": "eye"}, "normal_ is itself what fills the weights"),
        ("normal", {"bias": "lsuv"}, "lsuv treats a whole model, so it cannot be the policy of a role"),
        ("lsuv", {"weight": "gradinit"}, "gradinit treats a whole model"),
        ("normal", {"rules": [{"match": "0", "weight": "zero_gamma"}]}, "zero_gamma treats a whole model"),
        ("normal", {"bias": "irnn"}, "irnn is made of rules and policies: choose it as init=irnn"),
        ("lsuv", {"weight": "per_layer"}, "per_layer is made of rules and policies"),
        ("normal", {"rules": "conv1"}, "rules must be a list of mappings.*got 'conv1'"),
        ("normal", {"rules": {"match": "0", "weight": 1}}, "rules must be a list of mappings"),
        ("normal", {"rules": None}, "rules must be a list of mappings.*got None"),
        (3, {}, "3 is no initializer: give a name, a mapping or a function"),
        (None, {}, "None is no initializer"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_written(init: Any, arguments: Any, message: str) -> None:
    refuse(perceptron(), init, message, batch=(INPUTS, TARGETS), **arguments)


NUMBERS = [
    (name, key)
    for name in options()
    if "_target_" in read_option(name)
    for key, parameter in inspect.signature(find(name).function).parameters.items()
    if parameter.annotation in (float, float | None, float | str)
]


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("name, key", NUMBERS)
def test_a_number_that_is_not_finite_is_refused(name: str, key: str, value: float) -> None:
    refuse(perceptron(), name, rf"{key} of {name} must be a number.*, got {value}", **{key: value})


@pytest.mark.parametrize("role", ["bias", "norm_scale", "norm_shift"])
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_constant_that_is_not_finite_is_refused(role: str, value: float) -> None:
    refuse(perceptron(), "normal", rf"a constant must be a finite number, got {value}", **{role: value})


@pytest.mark.parametrize("dtype, gain", [(torch.float16, 1e6), (torch.bfloat16, 1e39), (torch.float32, 1e39)])
def test_a_number_too_large_for_the_dtype_is_refused(dtype: torch.dtype, gain: float) -> None:
    refuse(perceptron().to(dtype), "orthogonal", r"sets values of 0\.weight to infinity in", gain=gain)


@pytest.mark.parametrize("seed", [True, False, 1.0, "1", None])
def test_a_seed_that_is_no_integer_is_refused(seed: Any) -> None:
    refuse(perceptron(), "normal", "seed must be an integer", seed=seed)


def test_integers_of_numpy_are_the_same_seeds() -> None:
    ours, theirs = (initialize(perceptron(), "normal", seed=seed) for seed in (3, np.int64(3)))
    assert torch.equal(ours[0].weight, theirs[0].weight)


async def later_(tensor: torch.Tensor) -> None:
    tensor.zero_()


def each_(tensor: torch.Tensor) -> Any:
    yield tensor.zero_()


def lost_(tensor: torch.Tensor) -> None:
    raise KeyError("lost")


def lost_model_(model: nn.Module) -> None:
    raise KeyError("lost")


def unwilling_(tensor: torch.Tensor) -> None:
    raise ValueError("not today")


@pytest.mark.parametrize(
    "function, said",
    [
        (later_, "later_ is a coroutine function, which does nothing when it is called; write a plain function"),
        (each_, "each_ is a generator function"),
        (lost_, "lost_ fails on 0.weight: KeyError: 'lost'"),
        (unwilling_, "unwilling_ fails on 0.weight: not today"),
        (lost_model_, "lost_model_ fails: KeyError: 'lost'"),
    ],
)
def test_a_function_of_ones_own_that_fails_is_named(function: Any, said: str) -> None:
    refuse(perceptron(), function, said)
