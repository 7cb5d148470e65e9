"""Configs composed quickly are Hydra's own."""

import pickle
import shlex
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from initbench import CONF
from initbench.config.resolve import resolve
from initbench.sweep.compose import CachingConfigLoader

NAMED = ["+trainer.note=${hydra.job.override_dirname}", "hydra.job.config.override_dirname.exclude_keys=[trainer.note]"]
JOBS = [
    ["init=orthogonal", "seed=0"],
    ["init=orthogonal", "seed=1"],
    ["seed=2", "init=orthogonal", "init.gain=2"],
    ["init=orthogonal", "+init.nonlinearity=tanh", "optimizer.lr=0.1", "study=x"],
    ["init=orthogonal", "~init.bias"],
    ["init=lsuv", "model=mlp", "model.depth=4", "init.rules=[{match: linear1, weight: ones}]"],
    ["model=mlp", "init=lsuv", "seed=null"],
    ["hydra.job.name=other", "seed=4"],
    ["+trainer.note='a seed=3 b'", "seed=3", "model=mlp"],
    ["+trainer.note='a seed=3 b'", "seed=4", "model=mlp"],
    ["+trainer.note=of_${seed}", "seed=3"],
    ["+trainer.note=of_${seed}", "seed=4"],
    [*NAMED, "seed=3"],
    [*NAMED, "seed=4"],
    ["seed=3", "seed=4"],
    ["seed=3", "++seed=4"],
    ["seed=3", "++seed=5"],
    ["seed=3", "seed='4'"],
    ["seed=04"],
    ["hydra.job.config.override_dirname.exclude_keys=[seed]", "seed=5", "model=mlp"],
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


def test_jobs_that_differ_only_in_their_seeds_are_composed_once(hydra: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loader, master = hydra
    fast = CachingConfigLoader(loader)
    first = fast.resolved(master, ["init=orthogonal", "seed=0"])
    monkeypatch.setattr(fast, "load_sweep_config", None)
    assert fast.resolved(master, ["init=orthogonal", "seed=10"]) == {
        **first,
        "seed": 10,
        "command": first["command"].replace("seed=0", "seed=10"),
    }


def test_what_only_a_job_can_know_no_plan_resolves(hydra: Any) -> None:
    """Else a run would have one name while it is planned, and another once it has a number."""
    loader, master = hydra
    with pytest.raises(OmegaConfBaseException, match="HydraConfig was not set"):
        CachingConfigLoader(loader).resolved(master, ["+note=${hydra:job.num}"])


def test_groups_of_a_searchpath_are_groups(hydra: Any, tmp_path: Path) -> None:
    loader, _ = hydra
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "smooth.yaml").write_text("# @package _global_\ntask:\n  label_smoothing: 0.1\n")
    job = [f"hydra.searchpath=[file://{tmp_path}]", "+mine=smooth", "seed=1"]
    master = loader.load_configuration("config", job[:1], RunMode.MULTIRUN)
    fast = CachingConfigLoader(loader, master.hydra.searchpath)
    usual, quick = (one.load_sweep_config(master, job[1:]) for one in (loader, fast))
    assert quick.task.label_smoothing == 0.1
    assert OmegaConf.to_yaml(quick) == OmegaConf.to_yaml(usual)
    assert job[0] in shlex.split(fast.resolved(master, job[1:])["command"])


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
