"""What is composed for each job of a sweep, remembered of it, and masked in Hydra's own copies."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import OmegaConf

from initbench import masking
from initbench.config import typed as typed_module
from initbench.errors import UserMistake
from initbench.record.store import Store
from initbench.sweep import plan as module
from initbench.sweep.callback import SweepCallback
from initbench.sweep.compose import CachingConfigLoader, _is_seed_free, job_config, resolved_config
from initbench.sweep.plan import plan, seconds_left


def test_a_key_that_was_forced_has_to_belong_to_a_job(compose: Any) -> None:
    loader, master = compose()
    jobs = [[f"model={model}", "++model.depth=4", f"seed={seed}"] for model in ("lenet", "mlp") for seed in (0, 1)]
    loader.check_forced(master, jobs)  # nothing was forced
    typed_module.forced.append("model.depth")
    try:
        loader.check_forced(master, jobs)
        with pytest.raises(ConfigCompositionException, match=r"model\.depth"):
            loader.check_forced(master, jobs[:2])
    finally:
        typed_module.forced.clear()


def test_a_job_has_its_number_and_the_plain_config_that_was_planned(compose: Any, tmp_path: Path) -> None:
    loader, master = compose()
    overrides = [f"runs_dir={tmp_path}", "seed=3"]
    config = job_config(loader, master, overrides, 17)
    assert (config.hydra.job.num, config.hydra.job.id, config.seed) == (17, "17", 3)
    assert resolved_config(loader, master, overrides) == loader.resolved(master, overrides)


def test_a_key_that_the_chosen_option_lacks_refuses_that_run_alone(compose: Any) -> None:
    loader, master = compose()
    config = loader.load_sweep_config(master, ["model=lenet", "model.depth=4"])
    assert config.model.depth == 4  # for `check` to refuse
    with pytest.raises(ConfigCompositionException):
        loader.load_sweep_config(master, ["model=lenet", "optimizer.depth=4"])


@pytest.mark.parametrize(
    "value, is_free",
    [
        ("plain", True),
        ("${oc.env:HOME}", True),
        ("${model.name}", True),
        ("${seed}", False),
        ("${model.seed}", False),
        ("${hydra:job.num}", False),
        ("a ${data_dir} b ${seed}", False),
        ("${other:3}", False),
    ],
)
def test_what_depends_on_the_seed_is_composed_for_each(value: str, is_free: bool) -> None:
    assert _is_seed_free(OmegaConf.create({"seed": 3, "note": {"a": [value]}, "hydra": {"x": "${seed}"}})) is is_free


def test_runs_dirs_are_expanded_and_secrets_left_out_of_names(compose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    loader, master = compose()
    config = loader.load_sweep_config(master, ['runs_dir="~/mine"', "seed=3", "+logger.api_key=abcdef4716"])
    assert config.runs_dir == "/home/ann/mine"
    assert "abcdef4716" not in config.hydra.job.override_dirname
    assert "seed=3" in config.hydra.job.override_dirname


def test_what_a_worker_is_sent_remembers_nothing(compose: Any) -> None:
    loader, master = compose()
    loader.resolved(master, ["seed=3"])
    loader.planned = {"runs": {}}
    state = loader.__getstate__()
    assert [state[key] for key in ("_composed", "_parsed", "_resolved", "planned")] == [{}] * 4
    assert loader._composed
    assert loader._resolved


def test_a_secret_of_an_override_is_not_remembered_and_what_differs_in_it_is_told_apart(
    compose: Any, tmp_path: Path
) -> None:
    loader, master = compose()
    where = f"runs_dir={tmp_path}"
    jobs = [[where, f"+logger.api_key=abcdef471{number}", "seed=3"] for number in (7, 8)]
    found = plan(loader, master, [*jobs, [where, "seed=4"]])
    assert [job.seed for job in found] == [3, 4]  # a logger changes no run
    text = (tmp_path / "main" / ".sweep" / "signatures.json").read_text()
    assert "abcdef471" not in text
    assert len(json.loads(text)["runs"]) == 3
    before = (tmp_path / "main" / ".sweep" / "signatures.json").stat().st_ino
    plan(loader, master, jobs)
    assert (tmp_path / "main" / ".sweep" / "signatures.json").stat().st_ino == before  # there was nothing new


def test_jobs_are_those_of_their_configs_in_the_order_they_were_asked_for(compose: Any, tmp_path: Path) -> None:
    loader, master = compose()
    where = f"runs_dir={tmp_path}"
    grid = [[where, f"init={init}", f"seed={seed}"] for init in ("zeros", "ones") for seed in (5, 2)]
    found = plan(loader, master, [*grid, grid[0]])
    assert [(job.init, job.seed) for job in found] == [("zeros", 5), ("zeros", 2), ("ones", 5), ("ones", 2)]
    for job, overrides in zip(found, grid, strict=True):
        store = Store(loader.resolved(master, overrides))
        assert (job.folder, job.overrides, job.run, job.status, job.is_complete) == (
            store.folder,
            overrides,
            None,
            None,
            False,
        )
    assert len({job.workload for job in found}) == len({job.setting for job in found}) == 1
    assert seconds_left(found) is None
    assert seconds_left([]) == 0.0


def test_runs_of_another_study_are_none_of_the_sweep(compose: Any, tmp_path: Path) -> None:
    loader, master = compose()
    with pytest.raises(UserMistake, match=f"this one is in {tmp_path}/other, not in {tmp_path}/main: neither"):
        plan(loader, master, [[f"runs_dir={tmp_path}", "study=other"]])


def test_a_dry_run_remembers_nothing_on_disk(compose: Any, tmp_path: Path) -> None:
    loader, master = compose("dry_run=true")
    plan(loader, master, [[f"runs_dir={tmp_path}", "seed=3"]])
    assert list(tmp_path.iterdir()) == []


def test_what_decides_about_runs_is_in_the_digest_of_the_inputs(
    compose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine" / "init").mkdir(parents=True)
    option = tmp_path / "mine" / "init" / "own.yaml"
    option.write_text("std: ${oc.env:MY_STD,1}")
    loader, _ = compose()
    loader = CachingConfigLoader(loader, [f"file://{tmp_path}/mine"])
    monkeypatch.delenv("MY_STD", raising=False)
    seen = [module._inputs(loader)]
    assert module._inputs(loader) == seen[0]
    monkeypatch.setenv("MY_STD", "2")
    seen.append(module._inputs(loader))
    option.write_text("std: ${oc.env:MY_STD,2}")
    seen.append(module._inputs(loader))
    option.rename(option.with_name("other.yaml"))
    seen.append(module._inputs(loader))
    monkeypatch.setattr(module, "__version__", "another")
    seen.append(module._inputs(loader))
    assert len(set(seen)) == 5


@pytest.mark.parametrize(
    "mode, masked",
    [(RunMode.MULTIRUN, ["multirun.yaml", "config.yaml"]), (RunMode.RUN, ["config.yaml"])],
)
def test_secrets_are_masked_in_hydras_copies(
    mode: RunMode, masked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masking, "_seen", set())
    (tmp_path / ".hydra").mkdir()
    files = [tmp_path / "multirun.yaml", tmp_path / ".hydra" / "config.yaml", tmp_path / ".hydra" / "plain.yaml"]
    for file in files[:2]:
        file.write_text("api_key: abcdef4719\n")
    files[2].write_text("seed: 3\n")
    before = files[2].stat().st_ino
    where = SimpleNamespace(dir=tmp_path, output_dir=tmp_path)
    hydra = SimpleNamespace(mode=mode, sweep=where, output_subdir=".hydra", runtime=where)
    SweepCallback().on_job_start(SimpleNamespace(hydra=hydra))  # type: ignore[arg-type]  # all that is asked
    assert [file.name for file in files if "***" in file.read_text()] == masked
    assert files[2].stat().st_ino == before
    hydra.output_subdir = None
    SweepCallback().on_job_start(SimpleNamespace(hydra=hydra))  # type: ignore[arg-type]  # all that is asked
