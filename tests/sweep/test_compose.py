"""Configs composed quickly are Hydra's own."""

import pickle
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from initbench import CONF
from initbench.sweep.compose import CachingConfigLoader
from initbench.sweep.resolve import resolve

JOBS = [
    ["init=orthogonal", "seed=0"],
    ["init=orthogonal", "seed=1"],
    ["seed=2", "init=orthogonal", "init.gain=2"],
    ["init=orthogonal", "+init.nonlinearity=tanh", "optimizer.lr=0.1", "study=x"],
    ["init=orthogonal", "~init.bias"],
    ["init=lsuv", "model=mlp", "model.depth=4", "init.rules=[{match: linear1, weight: ones}]"],
    ["model=mlp", "init=lsuv", "seed=null"],
    ["hydra.job.name=other", "seed=4"],
]


@pytest.fixture(scope="module")
def hydra() -> Any:
    path = create_config_search_path(str(CONF))
    hydra = Hydra.create_main_hydra2(task_name="initbench", config_search_path=path)
    master = hydra.compose_config("config", ["init=orthogonal,lsuv", "seed=0,1"], RunMode.MULTIRUN)
    yield hydra.config_loader, master
    GlobalHydra.instance().clear()


def test_every_job_is_what_hydra_composes(hydra: Any) -> None:
    loader, master = hydra
    fast = CachingConfigLoader(loader)
    for job in [*JOBS, *JOBS]:  # the second time from memory
        usual, quick = loader.load_sweep_config(master, job), fast.load_sweep_config(master, job)
        assert OmegaConf.to_yaml(quick) == OmegaConf.to_yaml(usual)
        assert OmegaConf.is_struct(quick)


def test_jobs_share_nothing(hydra: Any) -> None:
    loader, master = hydra
    fast = CachingConfigLoader(loader)
    first = fast.load_sweep_config(master, ["init=orthogonal", "seed=1"])
    first.init.gain = 100
    assert fast.load_sweep_config(master, ["init=orthogonal", "seed=1"]).init.gain != 100


def test_what_is_resolved_is_what_hydras_own_resolves_to(hydra: Any) -> None:
    loader, master = hydra
    fast = CachingConfigLoader(loader)
    for job in [*JOBS, *JOBS]:  # the second time from memory
        usual = loader.load_sweep_config(master, job)
        assert fast.resolved(master, job) == resolve(usual, usual.hydra)


def test_a_resolved_config_knows_what_hydra_knows_of_its_own_job(hydra: Any) -> None:
    loader, master = hydra
    fast = CachingConfigLoader(loader)
    for model in ("mlp", "lenet"):
        assert fast.resolved(master, [f"model={model}", "+note=${hydra:runtime.choices.model}"])["note"] == model
    assert not HydraConfig.initialized()


@pytest.mark.parametrize("job", [["init=orthogonall"], ["sed=1"], ["optimizer.lrr=1"], ["init=orthogonal", "a b=c"]])
def test_what_hydra_refuses_is_refused(hydra: Any, job: list[str]) -> None:
    loader, master = hydra
    with pytest.raises(HydraException) as usual:
        loader.load_sweep_config(master, job)
    with pytest.raises(type(usual.value)):
        CachingConfigLoader(loader).load_sweep_config(master, job)


def test_it_can_be_sent_to_a_worker(hydra: Any) -> None:
    loader, master = hydra
    fast = CachingConfigLoader(loader)
    here = fast.load_sweep_config(master, JOBS[0])
    there = pickle.loads(pickle.dumps(fast)).load_sweep_config(master, JOBS[0])
    assert there == here
