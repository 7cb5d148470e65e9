"""Parameters that torch.distributed has sharded."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from every_option import METHODS, apply, vit, with_weight
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from initbench.init import describe, initialize, initializer, weights_digest


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
