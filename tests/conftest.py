"""Runs small enough to train in a second."""

import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from configs import compose_config
from hypothesis import settings

from initbench.record.sweep_id import SWEEP_VARIABLE

# Two busy threads on a core that someone else wants are many times slower than one.
torch.set_num_threads(1)
# The same examples each time, and none of them fails because the machine is busy.
settings.register_profile("initbench", deadline=None, derandomize=True)
settings.load_profile("initbench")


@pytest.fixture(autouse=True)
def quiet_lightning() -> Iterator[None]:
    """Lightning 2.6 asks torch's pytree in a way that torch 2.13 deprecated; the rest stays an error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)` is deprecated")
        yield


@pytest.fixture(autouse=True)
def torch_seed(request: pytest.FixtureRequest) -> None:
    """Each test draws its own numbers from torch's global generator, as modules' constructors do, and always the same.

    In whatever order and process tests run. That what we make depends on no more than a run's seed has tests of its
    own, which draw some numbers before.
    """
    torch.manual_seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture(autouse=True)
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins outside of a sweep, whose id is in the environment from its start to the end of the process."""
    monkeypatch.delenv(SWEEP_VARIABLE, raising=False)


@pytest.fixture(autouse=True)
def needs_gpu(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs an NVIDIA GPU")


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """A function from overrides to the config of a run of eight steps, with records under tmp_path."""

    def make(*overrides: str) -> dict[str, Any]:
        fixed = ["logger=none", f"runs_dir={tmp_path}/runs", "trainer.max_steps=8", "trainer.log_every_n_steps=2"]
        return compose_config(*fixed, "model=mlp", "data.val_every_n_steps=4", "trainer.accelerator=cpu", *overrides)

    return make
