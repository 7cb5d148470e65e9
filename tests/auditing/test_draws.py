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


class Pair(nn.Module):
    """Two parameters that start with these values."""

    def __init__(self, one: torch.Tensor, other: torch.Tensor) -> None:
        super().__init__()
        self.one, self.other = nn.Parameter(one.clone()), nn.Parameter(other.clone())


DRAW = torch.randn(16, 16, generator=torch.Generator().manual_seed(0))
CHANGED = DRAW.flatten().index_fill(0, torch.tensor([1]), 9.0).view(16, 16)
PADDED = torch.cat([torch.zeros(8, 16), DRAW])  # an embedding whose first rows are zero
PAIRS = {
    "a copy": (DRAW, DRAW, ["other"]),
    "a copy behind zeros": (PADDED, PADDED, ["other"]),
    "a copy but for one element": (DRAW, CHANGED, []),
    "vectors": (DRAW.flatten(), DRAW.flatten(), []),
    "few elements": (DRAW[:3, :3], DRAW[:3, :3], []),
    "two identities": (torch.eye(16), torch.eye(16), []),
    "few values": (DRAW.sign(), DRAW.sign(), []),
    "other shapes": (DRAW[:8], DRAW[:8].reshape(16, 8), []),
}


@pytest.mark.parametrize("one, other, names", PAIRS.values(), ids=PAIRS.keys())
def test_only_matrices_of_many_equal_values_are_one_draw(
    one: torch.Tensor, other: torch.Tensor, names: list[str]
) -> None:
    assert [finding.parameter for finding in one_draw(Subject(Pair(one, other)))] == names


def test_a_parameter_that_only_one_seed_makes_is_left_alone() -> None:
    def make() -> nn.Module:
        model = nn.Linear(8, 8)
        model.register_parameter(f"of_{torch.randint(10**9, ())}", nn.Parameter(DRAW.clone()))
        return model

    assert list(deaf_to_the_seed(Subject(make))) == []


def test_constants_and_grids_are_deaf_to_the_seed_by_right() -> None:
    assert list(deaf_to_the_seed(Subject(lambda: Pair(torch.ones(16, 16), DRAW.sign())))) == []
    found = list(deaf_to_the_seed(Subject(lambda: Pair(DRAW, PADDED))))
    assert [finding.parameter for finding in found] == ["one", "other"]
