"""Copies of models, memory that layers share, and what comes back after a failure."""

import hashlib

import numpy as np
import pytest
import torch
from torch import nn

from initbench.init import Initializer, initialize, rows, weights_digest
from initbench.init.copying import copy_of, copy_on_cpu
from initbench.init.memory import restored_on_failure, storage_of
from initbench.init.method import working_copy
from initbench.init.roles import walk


def test_a_copy_has_the_ties_and_the_flags_of_its_model() -> None:
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])
    model[1].weight = nn.Parameter(model[0].weight.data, requires_grad=False)
    copied = copy_of(model, "a test works on")
    assert copied[1].weight.data_ptr() == copied[0].weight.data_ptr() != model[0].weight.data_ptr()
    assert [each.weight.requires_grad for each in copied] == [True, False]
    layer = copy_on_cpu(nn.Conv2d(3, 4, 3).half().to(memory_format=torch.channels_last))
    assert (layer.weight.dtype, layer.weight.is_contiguous()) == (torch.float32, True)


def test_of_why_a_layer_cannot_be_copied_the_first_sentence_is_told() -> None:
    class Locked(nn.Linear):
        def __deepcopy__(self, memo: object) -> "Locked":
            raise TypeError("it is locked. Ask for the key")

    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(Locked(3, 3)))
    with pytest.raises(ValueError, match=r"^a test works on .* layer 1\.0, a Locked, .* it is locked$"):
        copy_of(model, "a test works on")


def test_memory_is_shared_as_a_whole_or_not() -> None:
    base = torch.zeros(4, 6)
    assert storage_of(base) == storage_of(base.view(6, 4)) == storage_of(base.T)
    assert storage_of(base[:, ::2]) != storage_of(base.flatten()[:12])
    assert storage_of(base[:2]) != storage_of(base)
    empty = torch.zeros(0), torch.zeros(0)
    assert storage_of(empty[0]) != storage_of(empty[1])


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_values_come_back_after_a_failure_those_of_buffers_too(error: type[BaseException]) -> None:
    model = nn.BatchNorm1d(3)
    with pytest.raises(error), restored_on_failure(model):
        nn.init.zeros_(model.weight)
        model.running_var.fill_(7)
        raise error
    assert model.weight.eq(1).all()
    assert model.running_var.eq(1).all()


def test_a_working_copy_trains_in_fp32_without_dropout() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.LSTM(4, 4, 2, dropout=0.3), nn.Linear(4, 4)).eval()
    model.append(nn.MultiheadAttention(4, 2, dropout=0.2))
    model.half().requires_grad_(False)
    model[3].weight = nn.Parameter(model[0].weight.data)  # tied by its memory
    copied = working_copy(model, torch.device("cpu"), "a test")
    assert {parameter.dtype for parameter in copied.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in copied.parameters())
    assert copied[3].weight.data_ptr() == copied[0].weight.data_ptr()
    assert (copied.training, copied[0].training, copied[1].training) == (True, True, False)
    assert (copied[1].p, copied[2].dropout, copied[4].dropout) == (0, 0, 0)
    assert (model[1].p, model[2].dropout, model[0].weight.dtype) == (0.5, 0.3, torch.float16)
    assert not model.training
    assert working_copy(model.double(), torch.device("cpu"), "a test")[0].weight.dtype == torch.float64


def test_each_parameter_is_listed_once_though_it_is_shared_and_parametrized() -> None:
    model = nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3), nn.MultiheadAttention(4, 2)])
    model[1].weight = nn.Parameter(model[0].weight.data)
    names = [found.name for found in walk(model)]
    assert names == ["0.weight", "0.bias", "1.bias", *(f"2.{key}" for key, _ in model[2].named_parameters())]
    roles = {found.key: found.role for found in walk(nn.MultiheadAttention(4, 2, add_bias_kv=True))}
    assert (roles["in_proj_weight"], roles["in_proj_bias"], roles["bias_k"]) == ("attention_in", "bias", "other")
    bound = nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))
    both = nn.ModuleList([bound, bound])
    assert sorted(found.name for found in walk(both)) == ["0.bias", "0.weight"]


def test_rows_and_digests_are_those_of_the_values_whatever_the_dtype() -> None:
    layer = nn.Linear(1, 1)
    found = rows(Initializer(0.5, bias=2).apply(layer, seed=0))
    assert [(row["mean"], row["std"], row["shape"]) for row in found] == [(0.5, 0.0, "1x1"), (2.0, 0.0, "1")]
    expected = hashlib.sha256(np.float32([0.5, 2]).tobytes()).hexdigest()[:16]
    assert weights_digest(layer) == weights_digest(layer.double()) == expected


def test_a_size_of_one_may_have_any_stride() -> None:
    layer = nn.Linear(3, 1)
    layer.weight = nn.Parameter(torch.zeros(3).as_strided((1, 3), (0, 1)))
    assert initialize(layer, "normal").weight.any()


def test_originals_that_two_parametrized_layers_share_are_listed_once() -> None:
    one, other = (nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)) for _ in range(2))
    for key in ("original0", "original1"):
        setattr(other.parametrizations.weight, key, getattr(one.parametrizations.weight, key))
    names = [found.name for found in walk(nn.ModuleList([one, other]))]
    assert sorted(names) == ["0.bias", "0.weight", "1.bias"]
