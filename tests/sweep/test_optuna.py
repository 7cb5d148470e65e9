"""hydra/sweeper=optuna: what a run returns to it, and what it makes of that."""

import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import forking
import pytest
import yaml
from records import record

from initbench.record.signature import signature
from initbench.sweep.job import objective

SMALL = ["model=mlp", "logger=none", "trainer.accelerator=cpu", "trainer.threads=1"]
needs_optuna = pytest.mark.skipif(not find_spec("optuna"), reason="hydra-optuna-sweeper is not installed")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "initbench", *SMALL, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return forking.run(folder, command, environment)


@needs_optuna
@pytest.mark.slow
def test_a_search_finds_the_best_of_its_runs_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """Among runs that diverge; typed again it only reads their records."""
    search = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=6", "hydra.sweeper.sampler.seed=3"]
    search += [
        "optimizer=sgd",
        "optimizer.lr=tag(log, interval(0.01, 10000))",
        "hydra.sweeper.sampler.n_startup_trials=2",
    ]
    search += ["objective=val/loss", "trainer.max_steps=30"]
    ended = run(tmp_path, *search)
    assert ended.returncode == 0, ended.stderr
    study = tmp_path / "runs" / "main"
    records = [json.loads(path.read_text()) for path in study.glob("*/record.json")]
    assert {one["status"] for one in records} == {"finished", "diverged"}
    assert len(records) == 6
    best = min((one for one in records if one["status"] == "finished"), key=lambda one: one["results"]["val/loss"])
    found = yaml.safe_load((study / ".sweep" / "optimization_results.yaml").read_text())
    assert found["best_value"] == best["results"]["val/loss"]
    assert found["best_params"] == {"optimizer.lr": best["config"]["optimizer"]["lr"]}
    written = {path: path.stat().st_mtime_ns for path in study.glob("*/record.json")}
    run(tmp_path, *search)
    assert {path: path.stat().st_mtime_ns for path in study.glob("*/record.json")} == written
    assert yaml.safe_load((study / ".sweep" / "optimization_results.yaml").read_text()) == found


@needs_optuna
def test_a_search_for_the_worst_is_refused(tmp_path: Path) -> None:
    """Hydra's sweeper minimizes, unless it is told otherwise."""
    refused = run(tmp_path, "-m", "hydra/sweeper=optuna", "seed=range(3)")
    assert refused.returncode == 2
    assert refused.stderr.strip().endswith("add hydra.sweeper.direction=maximize")
    assert not list(tmp_path.rglob("record.json"))


def test_an_unknown_objective_is_refused_before_training(tmp_path: Path) -> None:
    refused = run(tmp_path, "objective=steps_to_0.85")
    assert refused.returncode == 2
    assert "unknown objective 'steps_to_0.85'. Did you mean 'steps_to_0.8'? Allowed: " in refused.stderr
    assert not list(tmp_path.rglob("record.json"))


@pytest.mark.parametrize(
    "name, status, value",
    [
        ("val/best_accuracy", "finished", 0.9),
        ("val/best_accuracy", "diverged", 0.0),
        ("val/loss", "diverged", math.inf),
        ("steps_to_0.9", "finished", 40.0),
        ("steps_to_0.95", "finished", math.inf),
        ("seconds_to_0.95", "finished", math.inf),
        ("steps_to_0.9", "failed", None),
        ("val/best_accuracy", "interrupted", None),
    ],
)
def test_what_is_optimized(name: str, status: str, value: float | None) -> None:
    targets = {
        "0.9": {"reached": True, "steps": 40, "seconds": 2.0, "reason": None},
        "0.95": {"reached": False, "steps": 100, "seconds": 9.0, "reason": "budget"},
    }
    assert objective(record(status=status, targets=targets), name) == value


def test_the_objective_makes_no_other_run(small: Any) -> None:
    assert signature(small()) == signature(small("objective=val/loss"))


@needs_optuna
def test_what_a_search_would_try_cannot_be_told(tmp_path: Path) -> None:
    found = run(tmp_path, "-m", "hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "seed=0,1", "dry_run=true")
    said = "dry_run cannot tell what this sweeper will try, as that depends on results"
    assert (found.returncode, found.stderr) == (2, f"initbench: {said}\n")
