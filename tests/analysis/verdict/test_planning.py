"""What planned seeds can show, from the runs that are finished."""

from pathlib import Path

import numpy as np
import pytest
from frames import record
from studies import write_study

from initbench.analysis.verdict.planning import what_seeds_show


def test_too_few_seeds_cannot_show_anything(tmp_path: Path) -> None:
    assert what_seeds_show(3, 1, tmp_path) == "3 seeds cannot show a significant difference; at least 6 are needed"
    assert what_seeds_show(1, 1, tmp_path).startswith("1 seed cannot show")
    assert (
        what_seeds_show(2, 3, tmp_path)
        == "2 seeds on each of 3 workloads cannot show a significant difference; at least 6 are needed"
    )


def test_without_runs_it_is_in_standard_deviations(tmp_path: Path) -> None:
    said = what_seeds_show(10, 1, tmp_path / "none")
    assert said.startswith(
        "10 seeds can show a difference of 1.0 standard deviations of the paired difference (80% power against one "
        "rival)"
    )  # 2.8 / sqrt(8)


def test_finished_runs_say_how_much_seeds_differ(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    accuracies = {init: 0.8 + 0.01 * rng.standard_normal(200) for init in "ab"}
    rows = [record(init, seed, float(of[seed])) for init, of in accuracies.items() for seed in range(200)]
    said = what_seeds_show(18, 1, write_study(tmp_path / "s", *rows))
    # The difference of two has sqrt(2) times the deviation of one: 2.8 * 1.41 points / sqrt(16)
    found = float(said.split("a difference of ")[1].split()[0])
    assert found == pytest.approx(2.8 * 100 * np.std(accuracies["a"] - accuracies["b"], ddof=1) / 4, abs=0.01)
    assert found == pytest.approx(0.99, abs=0.1)
