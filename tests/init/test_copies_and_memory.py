"""Copies of models, memory that layers share, and what comes back after a failure."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own spelling

from initbench.init import Initializer, initialize, rows, weights_digest
from initbench.init.copying import copy_of, copy_on_cpu
from initbench.init.derivatives import differentiable
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


def test_the_innermost_layer_that_cannot_be_copied_is_named() -> None:
    class Locked(nn.Linear):
        def __deepcopy__(self, memo: object) -> "Locked":
            raise TypeError("it is locked. Ask for the key")

    model = nn.Sequential(nn.Linear(3, 3), nn.Sequential(Locked(3, 3)))
    with pytest.raises(ValueError, match=r"^a test works on .* layer 1\.0, a Locked, .* it is locked$"):
        copy_of(model, "a test works on")


def statistics(kind: Any) -> nn.Module:
    norm = kind(3)
    if getattr(norm, "running_mean", None) is not None:
        norm.running_mean.normal_(generator=torch.Generator().manual_seed(1))
        norm.running_var.fill_(3.0)
    return norm


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "build",
    [
        lambda: statistics(nn.BatchNorm2d),
        lambda: statistics(lambda width: nn.BatchNorm2d(width, track_running_stats=False)),
        lambda: statistics(nn.InstanceNorm2d),
        lambda: statistics(lambda width: nn.InstanceNorm2d(width, affine=True, track_running_stats=True)),
        lambda: nn.LayerNorm((4, 5)),
        lambda: nn.LayerNorm(5, bias=False),
        lambda: nn.LayerNorm(5, elementwise_affine=False),
        nn.Hardsigmoid,
    ],
)
def test_what_replaces_torchs_operators_computes_the_same(build: Callable[[], nn.Module], training: bool) -> None:
    model = build().train(training)
    for parameter in model.parameters():
        nn.init.uniform_(parameter, 0.5, 2.0, generator=torch.Generator().manual_seed(0))
    x = 2 * torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(2)) + 1
    expected = model(x)
    with differentiable(model, "a test", times=3):
        found = model(x)
    # Statistics that are kept have moved by the first call.
    if training or not hasattr(model, "running_mean"):
        torch.testing.assert_close(found, expected)
    else:
        torch.testing.assert_close(found, model(x))


@pytest.mark.parametrize("times", [2, 3])
def test_a_hard_sigmoid_can_be_differentiated_several_times(times: int) -> None:
    with differentiable(nn.Hardsigmoid(), "a test", times=times):
        x = torch.tensor([0.5], requires_grad=True)
        (first,) = torch.autograd.grad(F.hardsigmoid(x).square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x)
    assert float(second) == pytest.approx(2 / 36)


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


def test_running_statistics_are_those_of_a_new_model() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    model[1].running_mean.fill_(5)
    model[1].num_batches_tracked.fill_(5)
    initialize(model, "normal")
    assert (float(model[1].running_mean.sum()), int(model[1].num_batches_tracked)) == (0, 0)


def test_a_method_that_fails_leaves_the_model_as_it_was() -> None:
    def fails(model: nn.Module) -> None:
        nn.init.zeros_(model.weight)
        raise ValueError("for no reason")

    layer = nn.Linear(3, 3)
    before = layer.weight.clone()
    with pytest.raises(ValueError, match="for no reason"):
        initialize(layer, fails)
    assert torch.equal(layer.weight, before)


def test_rows_and_digests_tell_weights_apart() -> None:
    layer = nn.Linear(1, 1)
    found = rows(Initializer(0.5, bias=2).apply(layer, seed=0))
    assert [(row["mean"], row["std"], row["shape"]) for row in found] == [(0.5, 0.0, "1x1"), (2.0, 0.0, "1")]
    expected = hashlib.sha256(np.float32([0.5, 2]).tobytes()).hexdigest()[:16]
    assert weights_digest(layer) == weights_digest(layer.double()) == expected


def test_a_size_of_one_may_have_any_stride_and_others_may_not_be_expanded() -> None:
    layer = nn.Linear(3, 1)
    layer.weight = nn.Parameter(torch.zeros(3).as_strided((1, 3), (0, 1)))
    assert initialize(layer, "normal").weight.any()
    layer.weight = nn.Parameter(torch.zeros(3).expand(2, 3))
    with pytest.raises(ValueError, match="weight is expanded, so that some of its elements share memory"):
        initialize(layer, "normal")


def test_originals_that_two_parametrized_layers_share_are_listed_once() -> None:
    one, other = (nn.utils.parametrizations.weight_norm(nn.Linear(3, 3)) for _ in range(2))
    for key in ("original0", "original1"):
        setattr(other.parametrizations.weight, key, getattr(one.parametrizations.weight, key))
    names = [found.name for found in walk(nn.ModuleList([one, other]))]
    assert sorted(names) == ["0.bias", "0.weight", "1.bias"]
