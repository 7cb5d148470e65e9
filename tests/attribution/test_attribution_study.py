"""The records of an attribution as scores by seed and arm."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from frames import record
from records import write_plan
from studies import write_study

from initbench.attribution.design import design
from initbench.attribution.study import read_runs
from initbench.metric import Metric
from initbench.record.plans import Plan, add_plan

PLAN = design(["qkv", "head"])
LOSS = Metric("loss", "test loss", higher_is_better=False, unit="nats")


def arm(parts: tuple[str, ...], seed: int, score: float | None = 0.8, **options: Any) -> dict[str, Any]:
    """The record of a run in an arm."""
    made = record(f"between(from_b={parts})", seed, score, **options)
    made["config"]["init"] = {"name": "between", "parts": ["qkv", "head"], "from_b": list(parts)}
    return {**made, "signature": f"{abs(hash((parts, seed, made['status']))) % 16**10:010x}"}


def study(folder: Path, *records: dict[str, Any], planned: int | None = None) -> Path:
    write_study(folder, *records)
    names = [f"{number:04d}-{one['signature']}" for number, one in enumerate(records)]
    write_plan(folder, *names[:planned], *(["never"] if planned is None else []))
    return folder


def test_each_run_is_in_the_arm_that_its_config_says(tmp_path: Path) -> None:
    records = [
        arm(parts, seed, 0.5 + seed / 10 + place / 100) for seed in (4, 2) for place, parts in enumerate(PLAN.arms)
    ]
    runs = read_runs(study(tmp_path / "s", *records, planned=8), PLAN)
    assert list(runs.scores.index) == [2, 4]
    assert runs.scores.loc[2].tolist() == pytest.approx([0.7, 0.71, 0.72, 0.73])
    assert runs.scores.loc[4].tolist() == pytest.approx([0.9, 0.91, 0.92, 0.93])
    assert runs.without == {}
    assert (runs.left_to_a, runs.level, runs.metric.name) == (0, 0.05, "accuracy")


def test_runs_of_other_sweeps_do_not_count(tmp_path: Path) -> None:
    records = [*(arm(parts, 0) for parts in PLAN.arms), record("gpt2", 0), record("nanochat", 0)]
    assert read_runs(study(tmp_path / "s", *records, planned=4), PLAN).scores.shape == (1, 4)
    with pytest.raises(ValueError, match="has other runs than this attribution"):
        read_runs(tmp_path / "s", design(["qkv", "embedding"]))
    write_plan(tmp_path / "s", "never")
    with pytest.raises(ValueError, match="has other runs than this attribution"):
        read_runs(tmp_path / "s", PLAN)
    write_plan(tmp_path / "s", "0004-" + records[4]["signature"])
    with pytest.raises(ValueError, match="has other runs than this attribution"):
        read_runs(tmp_path / "s", PLAN)


def test_what_has_no_score_is_counted(tmp_path: Path) -> None:
    records = [arm(parts, seed) for seed in (0, 1) for parts in PLAN.arms]
    records[5] = arm(PLAN.arms[1], 1, status="failed")
    runs = read_runs(study(tmp_path / "s", *records), PLAN)
    assert runs.scores.isna().to_numpy().tolist() == [[False] * 4, [False, True, False, False]]
    assert runs.without == {"failed": 1, "never started": 1}


def test_a_run_that_diverged_scores_chance(tmp_path: Path) -> None:
    records = [arm(parts, 0, chance=0.1) for parts in PLAN.arms]
    records[3] = arm(PLAN.arms[3], 0, 0.3, status="diverged")
    for each in records:
        each["results"] = {**each["results"], "chance_accuracy": 0.1}
    runs = read_runs(study(tmp_path / "s", *records, planned=4), PLAN)
    assert runs.scores.notna().all(axis=None)
    assert runs.scores.iloc[0, 3] < 0.3
    assert runs.without == {}


def test_parts_that_are_not_named_are_known_from_the_records(tmp_path: Path) -> None:
    records = [arm(parts, 0, init_numbers={"parts_left_to_a": 2}) for parts in PLAN.arms]
    assert read_runs(study(tmp_path / "s", *records, planned=4), PLAN).left_to_a == 2
    records[0].pop("init_numbers")  # of a run that did not get so far
    assert read_runs(study(tmp_path / "t", *records, planned=4), PLAN).left_to_a == 2


def test_one_workload_and_one_learning_rate(tmp_path: Path) -> None:
    records = [arm(parts, 0, lr=0.1 if parts else 0.2) for parts in PLAN.arms]
    with pytest.raises(ValueError, match="one workload and one learning rate"):
        read_runs(study(tmp_path / "s", *records, planned=4), PLAN)


def test_runs_of_two_workloads_are_refused(tmp_path: Path) -> None:
    records = [arm(parts, 0, model={"depth": 1 + bool(parts)}) for parts in PLAN.arms]
    with pytest.raises(ValueError, match="one workload and one learning rate"):
        read_runs(study(tmp_path / "s", *records, planned=4), PLAN)


def test_a_lower_loss_is_a_higher_score(tmp_path: Path) -> None:
    records = [arm(parts, 0, metric=asdict(LOSS)) for parts in PLAN.arms]
    for place, each in enumerate(records):
        each["results"] = {"val/loss": 2.0, "test/loss": 2.0 - place / 10}
    runs = read_runs(study(tmp_path / "s", *records, planned=4), PLAN)
    assert runs.metric.unit == "nats"
    assert runs.scores.iloc[0].tolist() == pytest.approx([-2.0, -1.9, -1.8, -1.7])


def test_seeds_that_are_added_to_what_was_seen_halve_the_level(tmp_path: Path) -> None:
    folder = study(tmp_path / "s", *(arm(parts, seed) for seed in (0, 1) for parts in PLAN.arms), planned=8)
    for seeds, ended in (((0,), 0), ((0, 1), 4)):
        add_plan(folder, Plan(("x", "y"), ("w",), seeds, (), None, None), ended)
    assert read_runs(folder, PLAN).level == 0.025
