"""What planned seeds can show, from the runs that are finished."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
from frames import record
from studies import write_study

from initbench.analysis.race.rules import Rules
from initbench.analysis.statistics.power import detectable
from initbench.analysis.verdict.planning import runs_used, what_a_race_takes, what_seeds_show
from initbench.record.plans import Plan, Race


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


PLAN = Plan(tuple("abcd"), ("w",), (), (), None, None, Race(0.05, 30, None, strict=False, per_task=False))


def test_a_race_takes_fewer_runs_the_further_one_is_ahead(tmp_path: Path) -> None:
    said = what_a_race_takes(PLAN, tmp_path)
    equal, ahead, further = map(int, re.findall(r"about (\d+) if", said))
    assert 4 * 30 >= equal > ahead > further >= 4 * 5
    assert "if one is ahead by the margin, about" in said
    assert "at most 120 runs" in said


def test_one_far_ahead_takes_as_long_as_the_first_look() -> None:
    assert runs_used(Rules(4), lead=100.0, spread=1.0) == 4 * 5


def test_finished_runs_say_how_long_a_race_is(tmp_path: Path) -> None:
    """With a spread of a tenth of the margin, eight seeds show that equal ones are equal: 1/256 is below .05/3 8/30."""
    rng = np.random.default_rng(0)
    rows = [record(init, seed, 0.8 + 0.0003 * rng.standard_normal()) for init in "abcd" for seed in range(10)]
    said = what_a_race_takes(PLAN, write_study(tmp_path / "s", *rows))
    assert said.startswith(
        "the race takes, on average, about 32 if all are equal, about 20 if one is ahead by 0.50 points"
    )
    assert said.endswith("(judging by the spread of the finished runs)")


def test_the_spread_of_a_mean_over_workloads_is_that_of_as_many_as_are_planned(tmp_path: Path) -> None:
    """Two workloads that seeds do not share their luck on; the middle one of three pairs counts, and c is a copy."""
    rng = np.random.default_rng(0)
    noise = {"a": 0.01, "b": 0.02}
    rows, values = [], {}
    for depth in (1, 2):
        for init, of in noise.items():
            values[init, depth] = 0.8 + of * rng.standard_normal(8)
        values["c", depth] = values["a", depth]
    rows = [
        record(init, n, float(score), model={"depth": depth})
        for (init, depth), of in values.items()
        for n, score in enumerate(of)
    ]
    study = write_study(tmp_path / "s", *rows)
    leads = np.mean([values["a", depth] - values["b", depth] for depth in (1, 2)], axis=0)
    for workloads in (1, 2, 8):
        said = what_seeds_show(18, workloads, study)
        found = float(said.split("a difference of ")[1].split()[0])
        expected = 100 * detectable(18, float(leads.std(ddof=1))) * math.sqrt(2 / workloads)
        assert found == pytest.approx(expected, abs=0.006)
