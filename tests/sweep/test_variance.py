"""experiment=variance by its command: crossed seeds in packs, the parts of the variance, and nothing twice."""

import json
from pathlib import Path

import numpy as np
import pytest
from programs import command

from initbench.analysis.loading.frame import load_runs

_SMALL = ["trainer.max_steps=30", "logger=none", "model.width=16", "trainer.accelerator=cpu"]


@pytest.mark.parametrize("launcher", ["basic", "packed"])
def test_crossed_seeds_are_swept_and_their_parts_told(launcher: str, tmp_path: Path) -> None:
    words = [
        "experiment=variance",
        *_SMALL,
        "init=orthogonal",
        "seeds.weights=range(3)",
        "seeds.order=0,1",
        f"hydra/launcher={launcher}",
    ]
    first = command(tmp_path, *words)
    assert first.returncode == 0, first.stderr
    assert "The variance between the runs of orthogonal (standard deviation " in first.stdout
    assert "Initializers are not compared: the runs share seeds (3 seeds of the weights x 2 seeds" in first.stdout
    runs = load_runs(tmp_path / "runs" / "variance")
    assert sorted(runs["seed"]) == [f"weights {weights}, order {order}" for weights in range(3) for order in range(2)]
    weights = {Path(path).name: json.loads((Path(path) / "record.json").read_text()) for path in runs["path"]}
    digests = {name.split("-seed0-")[1][:8]: record["initial_weights"] for name, record in weights.items()}
    assert len(set(digests.values())) == len(digests) == 3
    results = runs["test/accuracy"].to_numpy()
    assert np.unique(results).size > 1
    again = command(tmp_path, *words)
    assert again.returncode == 0
    assert "6 runs, 6 of them already done" in again.stdout


def test_a_dry_run_says_nothing_of_what_independent_seeds_would_show(tmp_path: Path) -> None:
    words = ["experiment=variance", *_SMALL, "dry_run=true"]
    planned = command(tmp_path, *words)
    assert planned.returncode == 0, planned.stderr
    assert "128 runs" in planned.stdout
    assert "cannot show" not in planned.stdout
