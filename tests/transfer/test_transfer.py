"""The command as a whole, on small networks."""

import os
import sys
from pathlib import Path

import pytest
from forking import run

LINE = [
    *("init=kaiming_normal", "model=mlp", "axis=width", "values=8,16", "optimizer.lr=0.003,0.03,0.3"),
    *("seed=range(5)", "trainer.max_steps=15", "logger=none", "hydra/launcher=basic"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("transfer")
    ended = run(folder, [sys.executable, "-m", "initbench.transfer", *LINE], {**os.environ, "COLUMNS": "120"})
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False)
    return folder, ended.stdout


def verdict_of(said: str) -> str:
    """The table and the sentences."""
    return said[said.index("Best learning rate") : said.index("hold each by itself")]


def test_it_says_something_and_draws(study: tuple[Path, str]) -> None:
    folder, said = study
    assert "kaiming_normal: " in said
    assert "The intervals of drifts, from a bootstrap of 5 seeds," in said
    assert (folder / "runs" / "transfer" / "transfer.svg").read_text().count("octaves per doubling") == 1


def test_typed_again_nothing_is_trained(study: tuple[Path, str]) -> None:
    folder, said = study
    before = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*/record.json")}
    ended = run(folder, [sys.executable, "-m", "initbench.transfer", *LINE], {**os.environ, "COLUMNS": "120"})
    assert {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/*/record.json")} == before
    assert verdict_of(ended.stdout) == verdict_of(said)


def test_a_dry_run_runs_nothing(tmp_path: Path) -> None:
    ended = run(tmp_path, [sys.executable, "-m", "initbench.transfer", *LINE, "dry_run=true"])
    assert (ended.returncode, "30 runs, 30 to do" in ended.stdout) == (0, True)
    assert not (tmp_path / "runs").exists()


def test_what_the_sweep_refuses_is_said_once(tmp_path: Path) -> None:
    ended = run(tmp_path, [sys.executable, "-m", "initbench.transfer", "model=lenet", "axis=width", "values=8,16"])
    assert ended.returncode == 2
    assert "width" in ended.stderr
    assert "Traceback" not in ended.stderr
