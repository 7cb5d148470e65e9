"""The same weights wherever the parameters live and in whatever dtype, or a refusal that names them."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from every_option import FEW_STEPS, IMAGES, with_weight
from torch import nn
from torch._subclasses import FakeTensorMode

from initbench.init import describe, initialize, initializer, weights_digest


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


# torch says so of every sparse tensor.
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
