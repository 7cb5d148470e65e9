"""What a sweep writes down before its first run: inits, workloads, seeds, targets and the rules of a race."""

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from initbench.errors import UserMistake
from initbench.record.plans import Plan, Race, read_plans
from initbench.record.signature import digest, workload
from initbench.record.store import Store
from initbench.record.sweep_id import SWEEP_VARIABLE
from initbench.sweep.dispatch import Planned, ended_runs, study_of
from initbench.sweep.job import to_pack
from initbench.sweep.rounds import rounds
from initbench.sweep.study_plan import _numbers, study_plan


def test_the_plan_of_a_grid(compose: Any, tmp_path: Path) -> None:
    loader, master = compose("report.margin=0.3", "report.reference=zeros")
    where = f"runs_dir={tmp_path}"
    grid = [
        [where, f"model={model}", f"data.targets=[{target}]", f"init={init}", f"seed={seed}"]
        for model, target in (("mlp", "0.9"), ("lenet", "0.7,0.9"))
        for init in ("zeros", "orthogonal")
        for seed in (10, 9, 2)
    ]
    resolved = [loader.resolved(master, job) for job in grid]
    assert study_plan(loader, master, grid) == Plan(
        inits=("zeros", "orthogonal"),
        workloads=tuple(dict.fromkeys(digest(workload(config)) for config in resolved)),
        seeds=(2, 9, 10),
        targets=(0.7, 0.9),
        margin=0.3,
        reference="zeros",
        race=None,
    )


def test_the_plan_of_a_race_has_its_rules_and_no_seeds(compose: Any, tmp_path: Path) -> None:
    rules = ["race.level=0.1", "race.most_seeds=12", "race.budget=2h", "race.strict=true", "race.per_task=true"]
    loader, master = compose("until=sure", *rules)
    grid = [[f"runs_dir={tmp_path}", f"init={init}"] for init in ("zeros", "orthogonal")]
    plan = study_plan(loader, master, grid)
    assert plan.race == Race(level=0.1, most_seeds=12, budget="2h", strict=True, per_task=True)
    assert (plan.inits, plan.seeds, len(plan.workloads), plan.reference) == (("zeros", "orthogonal"), (), 1, None)


def test_only_numbers_are_seeds_or_targets() -> None:
    assert _numbers([3, 0.5, "1", None, True, [2]]) == [3, 0.5]
    assert _numbers("12") == _numbers(None) == _numbers(3) == []


def test_a_plan_is_written_with_the_runs_that_had_ended_and_by_a_dry_run_never(
    compose: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWEEP_VARIABLE, "5eed")
    for typed in (["dry_run=true"], []):
        loader, master = compose(*typed)
        study = study_of(master)
        for seed, status in enumerate(("finished", "diverged", "failed", "refused", "interrupted")):
            Store(loader.resolved(master, [f"runs_dir={tmp_path}", f"seed={seed}"])).write(status, results={})
        (study / "foreign").mkdir(exist_ok=True)
        assert ended_runs(study) == 2
        grid = [[f"runs_dir={tmp_path}", "seed=0"], [f"runs_dir={tmp_path}", "seed=7"]]
        assert list(rounds(loader, master, grid, Planned(), 4)) == [grid]
        assert (study / "study.lock").exists() is (not typed)
    (plan,) = read_plans(study)
    assert (plan.sweeps, plan.runs_before, plan.seeds) == (("5eed",), 2, (0, 7))


def test_what_is_packed_is_still_to_be_run_and_can_be(small: Any) -> None:
    sweeper = OmegaConf.create({})
    config = small()
    store = to_pack(config, [], sweeper)
    assert store is not None
    assert store.folder == Store(config).folder
    for status, is_packed in (("finished", False), ("diverged", False), ("failed", True), ("interrupted", True)):
        store.write(status)
        assert (to_pack(config, [], sweeper) is not None) is is_packed
    store.write("finished")
    assert to_pack({**config, "force": True}, [], sweeper) is not None
    assert to_pack({**config, "seed": "one"}, [], sweeper) is None
    (store.folder / "record.json").write_text('{"schema": 2}')
    assert to_pack(config, [], sweeper) is None


def test_what_no_record_will_hold_ends_the_whole_sweep(small: Any) -> None:
    with pytest.raises(UserMistake, match="unknown objective 'test/los'"):
        to_pack({**small(), "objective": "test/los"}, [], OmegaConf.create({}))
    with pytest.raises(UserMistake, match=r"add hydra\.sweeper\.direction=minimize"):
        to_pack({**small(), "objective": "test/loss"}, [], OmegaConf.create({"direction": "maximize"}))
