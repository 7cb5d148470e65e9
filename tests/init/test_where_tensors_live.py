"""The same weights whatever torch's global state is and wherever the parameters live, or a refusal that names them."""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, nn
from torch._subclasses import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.nn.utils import parametrizations
from torch.nn.utils.prune import l1_unstructured
from torch.overrides import TorchFunctionMode

from initbench.init import describe, initialize, initializer, options, weights_digest
from initbench.model import ViT


class Residual(nn.Module):
    """A residual branch that ends with a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.branch(inputs)


class Recurrent(nn.Module):
    """The rows of an image one after the other; the state before the first has the default dtype and device."""

    def __init__(self, cell: type[nn.RNNBase]) -> None:
        super().__init__()
        self.cell, self.last = cell(24, 6, batch_first=True), nn.Linear(6, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.cell(images.flatten(2))[0][:, -1])


def convolutional() -> nn.Sequential:
    body = (nn.Conv2d(3, 8, 3), nn.ReLU(), Residual(), nn.Dropout(0.5), nn.Flatten())
    return nn.Sequential(*body, nn.Linear(128, 5))


def normed() -> nn.Sequential:
    model = convolutional()
    parametrizations.weight_norm(model[2].branch[0])
    parametrizations.spectral_norm(model[5])
    return model


def vit(**settings: Any) -> nn.Module:
    return ViT(
        in_channels=3,
        image_size=6,
        num_classes=5,
        patch_size=2,
        width=16,
        depth=1,
        num_heads=2,
        mlp_ratio=2,
        **settings,
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "irnn": partial(Recurrent, nn.RNN),
    "chrono": partial(Recurrent, nn.LSTM),
    "deepnorm": partial(vit, norm="post"),
    **dict.fromkeys(["fixup", "t_fixup"], partial(vit, norm="none")),
    **dict.fromkeys(["mimetic", "vit", "vit_jax"], vit),
    **dict.fromkeys(["rezero", "skipinit", "convnext"], partial(vit, gate=True)),
    **dict.fromkeys(["delta_orthogonal", "orthogonal_conv"], lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten())),
}
FEW_STEPS = {"gradinit": {"steps": 2}, "metainit": {"steps": 2}}
NAMES = [name for name in options() if name != "state_dict"]
METHODS = ["metainit", "gradinit", "kraehenbuehl", "lsuv", "weight_norm_data", "patch_whitening"]

IMAGES = torch.randn(16, 3, 6, 6, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(16) % 5


def model_for(name: str) -> nn.Module:
    """A model with fixed weights, buffers included, that the initializer works on."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MODELS.get(name, convolutional)()


def apply(model: nn.Module, name: str, **arguments: Any) -> nn.Module:
    return initialize(model, name, batch=(IMAGES, TARGETS), **FEW_STEPS.get(name, {}), **arguments)


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


def same(one: nn.Module, other: nn.Module) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[key]) for key, value in ours.items())


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
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    expected = torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()  # noqa: NPY002
    torch.manual_seed(5), np.random.seed(5), random.seed(5)  # noqa: NPY002
    apply(model, name)
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random()) == expected  # noqa: NPY002


class FromNumPy(nn.Linear):
    def reset_parameters(self) -> None:
        """Draw from the global generators of NumPy and Python."""
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(np.random.randn(*self.weight.shape)))  # noqa: NPY002
            self.bias.fill_(random.random())


def test_a_layer_that_draws_from_numpy_or_python_is_as_reproducible() -> None:
    one, other, third = (initialize(FromNumPy(4, 3), "default", seed=seed) for seed in (1, 1, 2))
    assert same(one, other)
    assert not torch.equal(one.weight, third.weight)
    assert not torch.equal(one.bias, third.bias)


# Kinds of memory.


def with_weight(weight: Tensor) -> nn.Sequential:
    """A model whose second layer has this weight; the first is an ordinary one, which a refusal must leave alone."""
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    model[1].weight = nn.Parameter(weight, requires_grad=weight.is_floating_point())
    return model


def expanded() -> nn.Module:
    return with_weight(torch.zeros(6, 1).expand(6, 6))


def toeplitz() -> nn.Module:
    return with_weight(torch.arange(11.0).as_strided((6, 6), (1, 1)))


def overlapping(first: tuple[int, int], second: tuple[int, int]) -> nn.Module:
    memory = torch.zeros(12, 6)
    model = with_weight(memory[slice(*second)])
    model[0].weight = nn.Parameter(memory[slice(*first)])
    return model


def fake() -> nn.Module:
    with FakeTensorMode():
        return nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))


def meta_within() -> nn.Module:
    return with_weight(torch.zeros(6, 6, device="meta"))


REFUSED = {
    "expanded": (expanded, r"1\.weight is expanded, so that some of its elements share memory"),
    "toeplitz": (toeplitz, r"some elements of 1\.weight share memory"),
    "overlapping": (partial(overlapping, (0, 6), (3, 9)), r"0\.weight and 1\.weight overlap"),
    "a part": (partial(overlapping, (0, 6), (0, 3)), r"0\.weight and 1\.weight overlap"),
    "the whole": (partial(overlapping, (0, 3), (0, 6)), r"0\.weight and 1\.weight overlap"),
    "sparse": (lambda: with_weight(torch.eye(6).to_sparse()), r"1\.weight is stored as sparse_coo"),
    "csr": (lambda: with_weight(torch.eye(6).to_sparse_csr()), r"1\.weight is stored as sparse_csr"),
    "meta": (meta_within, r"1\.weight is on the meta device and has no memory: model\.to_empty"),
    "fake": (fake, r"0\.weight is a FakeTensor, whose memory cannot be written"),
    "lazy": (lambda: nn.Sequential(nn.Linear(6, 6), nn.LazyLinear(6)), r"1\.weight is lazy and has no shape yet"),
    "complex": (lambda: with_weight(torch.zeros(6, 6, dtype=torch.cfloat)), r"1\.weight is complex"),
}


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv"])
@pytest.mark.parametrize("kind", REFUSED)
def test_memory_that_cannot_be_filled_is_refused_by_name_before_anything_is_written(kind: str, name: str) -> None:
    build, message = REFUSED[kind]
    if kind == "complex" and name == "default":
        name = "normal"  # torch's own initialization draws complex numbers too
    model = build()
    before = model[0].weight.detach().clone()
    for act in (initialize, describe):
        with pytest.raises(ValueError, match=message):
            act(model, name, batch=torch.ones(4, 6))
    with pytest.raises(ValueError, match=message):
        initializer(name).plan(model)
    if kind != "fake":
        assert torch.equal(model[0].weight, before)


ALLOWED: dict[str, Callable[[], nn.Module]] = {
    "neighbours": partial(overlapping, (0, 6), (6, 12)),
    "columns": lambda: with_weight(torch.zeros(6, 12)[:, 3:9]),
    "strided": lambda: with_weight(torch.zeros(12, 12)[::2, ::2]),
    "transposed": lambda: with_weight(torch.zeros(6, 6).T),
    "shared memory": lambda: with_weight(torch.zeros(6, 6)).share_memory(),
    "frozen": lambda: with_weight(torch.zeros(6, 6)).requires_grad_(False),
    "memory map": lambda: with_weight(torch.from_numpy(np.zeros((6, 6), np.float32))),
}


@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv", "metainit"])
@pytest.mark.parametrize("kind", ALLOWED)
def test_other_memory_gets_the_same_weights(kind: str, name: str) -> None:
    given = {"batch": (torch.randn(8, 6, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 6)}
    given |= FEW_STEPS.get(name, {})
    expected = initialize(with_weight(torch.zeros(6, 6)), name, **given)
    model = ALLOWED[kind]()
    memory = model[1].weight.data_ptr(), model[1].weight.stride()
    initialize(model, name, **given)
    assert weights_digest(model) == weights_digest(expected)
    assert (model[1].weight.data_ptr(), model[1].weight.stride()) == memory


def test_interleaved_columns_of_one_matrix_do_not_overlap() -> None:
    memory = torch.zeros(6, 12)
    model = with_weight(memory[:, 1::2])
    model[0].weight = nn.Parameter(memory[:, ::2])
    expected = initialize(with_weight(torch.zeros(6, 6)), "orthogonal")
    assert weights_digest(initialize(model, "orthogonal")) == weights_digest(expected)


def test_a_weight_tied_to_its_transpose_is_one_weight() -> None:
    model = with_weight(torch.zeros(6, 6))
    model[0].weight = nn.Parameter(model[1].weight.data.T)
    assert list(describe(model, "orthogonal")["parameter"]) == ["0.weight", "0.bias", "1.bias"]
    initialize(model, "orthogonal")
    assert torch.equal(model[0].weight, model[1].weight.T)


FLOAT8 = [torch.float8_e4m3fn, torch.float8_e5m2]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16, *FLOAT8])
@pytest.mark.parametrize("name", ["orthogonal", "default", "trunc_normal", "normal"])
def test_every_dtype_gets_the_same_numbers_rounded(name: str, dtype: torch.dtype) -> None:
    expected = initialize(with_weight(torch.zeros(6, 6)), name)
    model = initialize(with_weight(torch.zeros(6, 6)).to(dtype), name)
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        assert ours.dtype == dtype
        assert torch.equal(ours.double(), theirs.to(dtype).double())


@pytest.mark.parametrize("dtype", FLOAT8)
def test_a_method_works_on_float8(dtype: torch.dtype) -> None:
    model = initialize(with_weight(torch.zeros(6, 6)).to(dtype), "lsuv", batch=IMAGES.flatten(1)[:, :6])
    assert model[0].weight.dtype == dtype
    assert model[0].weight.float().abs().max() > 0


# Sharded parameters.


@pytest.fixture(scope="module")
def mesh() -> Iterator[distributed.DeviceMesh]:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def plain_convolutional() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5), nn.Embedding(4, 3)
    )


def sharded(model: nn.Sequential, mesh: distributed.DeviceMesh) -> nn.Module:
    for layer in model:
        if any(True for _ in layer.parameters()):
            fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


@pytest.mark.parametrize("name", ["orthogonal", "default", "mup", "kaiming_normal", "trunc_normal"])
def test_parameters_sharded_by_fully_shard_get_the_shards_of_the_whole_weights(
    name: str, mesh: distributed.DeviceMesh
) -> None:
    rules = [{"match": "Conv2d", "weight": "xavier_uniform"}]
    expected = initialize(plain_convolutional(), name, rules=rules)
    model = sharded(plain_convolutional(), mesh)
    outcome = initializer(name, rules=rules).apply(model, seed=0)
    assert outcome.assignments[0].rule == "rule Conv2d"
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        assert isinstance(ours, DTensor)
        assert torch.equal(ours.full_tensor(), theirs)
    assert weights_digest(model) == weights_digest(expected)


@pytest.mark.parametrize("placement", [Shard(0), Shard(1), Replicate()])
def test_a_dtensor_of_any_placement_gets_the_whole_weight(placement: Any, mesh: distributed.DeviceMesh) -> None:
    expected = initialize(with_weight(torch.zeros(6, 6)), "orthogonal")
    model = with_weight(torch.zeros(6, 6))
    model[1].weight = nn.Parameter(distribute_tensor(torch.zeros(6, 6), mesh, [placement]))
    initialize(model, "orthogonal")
    assert torch.equal(model[1].weight.full_tensor(), expected[1].weight)


@pytest.mark.parametrize("name", [*METHODS, "mimetic"])
def test_a_method_refuses_a_sharded_model_and_says_what_to_do(name: str, mesh: distributed.DeviceMesh) -> None:
    model = sharded(plain_convolutional()[:5], mesh) if name in METHODS else fully_shard(vit(), mesh=mesh)
    before = [parameter.full_tensor().clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=r"cannot be copied: .*; do this before fully_shard"):
        apply(model, name)
    assert all(torch.equal(value, ours.full_tensor()) for value, ours in zip(before, model.parameters(), strict=True))


def test_a_table_of_a_sharded_model_is_refused_and_says_what_to_do(mesh: distributed.DeviceMesh) -> None:
    with pytest.raises(ValueError, match=r"describe works on a copy of the model, .*; do this before fully_shard"):
        describe(sharded(plain_convolutional(), mesh), "orthogonal")


# Layers that torch has turned into something else.


class Hidden(nn.Module):
    """A layer with a parameter of its own, which tracing takes apart."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(6))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * self.scale


def pair(second: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 6), second)


TURNED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "script": (lambda: torch.jit.script(pair(nn.Linear(6, 6))), "this RecursiveScriptModule is compiled by torch.jit"),
    "script inside": (lambda: pair(torch.jit.script(nn.Linear(6, 6))), "layer '1' is compiled by torch.jit"),
    "trace": (lambda: torch.jit.trace(pair(nn.Linear(6, 6)), torch.ones(2, 6)), "is compiled by torch.jit"),
    "fx": (lambda: torch.fx.symbolic_trace(pair(Hidden())), "layer '1' is traced by torch.fx or torch.export"),
    "export": (
        lambda: torch.export.export(pair(nn.Linear(6, 6)), (torch.ones(2, 6),)).module(),
        "layer '0' is traced by torch.fx or torch.export",
    ),
    "unflatten": (
        lambda: torch.export.unflatten(torch.export.export(pair(nn.Linear(6, 6)), (torch.ones(2, 6),))),
        "layer '0' is traced by torch.fx or torch.export",
    ),
    "quantized": (
        lambda: torch.ao.quantization.quantize_dynamic(pair(nn.Linear(6, 6)), {"1"}),
        "layer '1' is quantized",
    ),
    "pruned": (lambda: pair(l1_unstructured(nn.Linear(6, 6), "weight", 0.5)), "layer '1' is pruned.*'weight'"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:torch.quantize_per_tensor")
@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv"])
@pytest.mark.parametrize("kind", TURNED)
def test_layers_whose_type_is_hidden_are_refused_by_name(kind: str, name: str) -> None:
    build, message = TURNED[kind]
    model = build()
    before = copy.deepcopy([parameter.detach() for parameter in model.parameters()])
    with pytest.raises(ValueError, match=message):
        initialize(model, name, batch=torch.ones(4, 6))
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.filterwarnings("ignore:no activation module")  # a graph may call functions
@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv"])
def test_a_graph_of_torch_fx_that_kept_its_layers_gets_the_same_weights(name: str) -> None:
    batch = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    expected = initialize(pair(nn.Linear(6, 6)), name, batch=batch)
    assert same(initialize(torch.fx.symbolic_trace(pair(nn.Linear(6, 6))), name, batch=batch), expected)


# Running statistics.


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
