"""Weights that no seed changes, and weights that are copies of each other."""

import copy

import pytest
import torch
from torch import nn

from initbench.auditing.draws import deaf_to_the_seed, one_draw
from initbench.auditing.subject import Subject


def test_torchs_encoder_copies_its_first_layer() -> None:
    def make() -> nn.Module:
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)

    found = {finding.parameter: finding.reason for finding in one_draw(Subject(make))}
    matrices = ("self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight")
    assert {f"layers.{place}.{name}" for place in (1, 2) for name in matrices} <= set(found)
    assert found["layers.2.linear1.weight"] == "it starts as a copy of layers.0.linear1.weight"
    assert list(deaf_to_the_seed(Subject(make))) == []


def test_layers_of_their_own_are_not_copies() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.BatchNorm1d(16))
    assert list(one_draw(Subject(model))) == []


def test_tied_weights_are_one_parameter() -> None:
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 16))
    model[1].weight = model[0].weight
    assert list(one_draw(Subject(model))) == []


def test_a_generator_of_its_own_is_deaf_to_the_seed() -> None:
    def make() -> nn.Module:
        model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
        nn.init.normal_(model[0].weight, generator=torch.Generator().manual_seed(5))
        nn.init.eye_(model[1].weight)
        return model

    (found,) = deaf_to_the_seed(Subject(make))
    assert (found.severity, found.parameter) == ("warning", "0.weight")


def test_a_target_network_is_meant_to_be_a_copy() -> None:
    def make() -> nn.Module:
        model = nn.Linear(8, 8)
        return nn.ModuleList([model, copy.deepcopy(model).requires_grad_(False)])

    assert list(one_draw(Subject(make))) == []


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bfloat16, torch.float8_e4m3fn])
def test_numbers_of_any_kind_can_be_compared(dtype: torch.dtype) -> None:
    def make() -> nn.Module:
        model = nn.Linear(8, 8)
        model.scale = nn.Parameter(torch.randn(8, 8).to(dtype))
        return model

    assert list(deaf_to_the_seed(Subject(make))) == list(one_draw(Subject(make))) == []
