"""Models in torch.compile, DataParallel and the like: the same weights, rules, files and names as without."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel

from initbench.init import describe, initialize, initializer

# FSDP says that one process has nothing to shard.
pytestmark = pytest.mark.filterwarnings("ignore:FSDP", "ignore:.*NO_SHARD", "ignore:.*FSDP")


@pytest.fixture(scope="module", autouse=True)
def one_process() -> Iterator[None]:
    """DDP and FSDP want a group of processes; this one is alone in it."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def small() -> nn.Sequential:
    return nn.Sequential(nn.Linear(12, 20), nn.BatchNorm1d(20), nn.ReLU(), nn.Sequential(nn.Linear(20, 7)))


def _inside(model: nn.Sequential) -> nn.Sequential:
    model[3] = torch.compile(model[3], backend="eager")
    model[0] = checkpoint_wrapper(model[0])
    return model


WRAPPERS: dict[str, Callable[[nn.Sequential], nn.Module]] = {
    "compile": torch.compile,
    "DataParallel": nn.DataParallel,
    "both": lambda model: torch.compile(nn.DataParallel(model)),
    "DDP": DistributedDataParallel,
    "FSDP": partial(FullyShardedDataParallel, use_orig_params=True, device_id=torch.device("cpu")),
    "inside": _inside,
}


@pytest.mark.parametrize("name", ["orthogonal", "default", "lsuv", "state_dict", "mup"])
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_a_wrapped_model_gets_the_weights_of_the_bare_one(
    name: str, wrap: Callable[[nn.Sequential], nn.Module], tmp_path: Path
) -> None:
    saved = initialize(small(), "normal")
    torch.save(wrap(saved).state_dict() if name == "state_dict" else {}, tmp_path / "weights.pt")
    arguments: dict[str, Any] = {"path": str(tmp_path / "weights.pt")} if name == "state_dict" else {}
    arguments["rules"] = [{"match": "3.0", "bias": 0.5}, {"match": "0.bias", "bias": 0.25}]
    arguments["batch"] = torch.randn(32, 12, generator=torch.Generator().manual_seed(0))
    bare, wrapped = small(), small()
    initialize(bare, name, **arguments)
    initialize(wrap(wrapped), name, **arguments)
    if name == "state_dict":
        assert torch.equal(bare[0].weight, saved[0].weight)
    for ours, theirs in zip(bare.parameters(), wrapped.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_table_of_a_wrapped_model_has_the_names_of_the_bare_one() -> None:
    batch = torch.randn(32, 12, generator=torch.Generator().manual_seed(0))
    bare, wrapped = (describe(model, "lsuv", batch=batch) for model in (small(), _inside(small())))
    assert bare.equals(wrapped)


def test_learning_rates_of_a_wrapped_model_have_the_names_of_the_bare_one() -> None:
    mup = initializer("mup")
    of_bare = mup.learning_rates(small(), adaptive=True)
    assert "3.0.weight" in of_bare
    for wrap in WRAPPERS.values():
        assert mup.learning_rates(wrap(small()), adaptive=True) == of_bare


def test_parameters_that_fsdp_has_flattened_are_refused() -> None:
    model = FullyShardedDataParallel(small(), device_id=torch.device("cpu"))
    with pytest.raises(
        ValueError, match="FSDP has flattened its parameters: initialize it before, or with use_orig_params"
    ):
        initialize(model, "orthogonal")


@pytest.mark.parametrize("name", ["weight_norm_data", "gradinit", "metainit"])
def test_compiled_parts_run_uncompiled_and_equal_the_bare_ones(name: str) -> None:
    images, targets = torch.randn(8, 12, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 7
    steps = {} if name == "weight_norm_data" else {"steps": 1}
    models = [small(), small()]
    models[1][0] = torch.compile(models[1][0])  # the default backend, which takes seconds, and forbids such derivatives
    for model in models:
        initialize(model, name, batch=(images, targets), **steps)
    assert all(map(torch.equal, models[0].parameters(), models[1].parameters()))
