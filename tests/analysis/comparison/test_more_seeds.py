"""What would settle an open question: seeds, runs, time, and a command that can be typed."""

import shlex
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from frames import frame, record
from open_questions import TYPED, following, study

from initbench.analysis.comparison.comparison import Comparison
from initbench.analysis.comparison.findings import Findings
from initbench.analysis.comparison.more_seeds import more_seeds, seconds_per_run, seeds_for, seeds_to_tell
from initbench.analysis.statistics.power import seeds_needed, spread


def test_more_seeds_of_those_that_are_open() -> None:
    found = following(study())
    assert found.more == found.seeds - 8 > 0
    assert found.runs == 2 * found.more  # c is beaten, and needs no more
    (command,) = found.commands
    assert shlex.split(command) == shlex.split(f"python -m initbench -m model=mlp init=a,b 'seed=range({found.seeds})'")


def test_what_matters_decides_how_many() -> None:
    """A small difference that nobody needs is not to be shown: seeds for the margin are enough."""
    means = (0.9, 0.898, 0.5)
    needed = [following(study(means=means, margin=margin)).seeds for margin in (0.3, 0.5, 0.8)]
    assert needed == sorted(needed, reverse=True)
    assert needed[0] > needed[-1]


def test_a_margin_of_one_is_a_point_and_others_are_points() -> None:
    assert [study(margin=margin).margin_text for margin in (0.5, 1, 2)] == ["0.5 points", "1 point", "2 points"]


def test_a_reference_that_is_compared_with_more_initializers_needs_more_seeds() -> None:
    """The level is shared out over its comparisons; without a reference the leader alone has to be better."""
    few, many = (0.9, 0.895), (0.9, 0.895, 0.5)
    with_reference = [following(study(means=means, reference="a")).seeds for means in (few, many)]
    without = [following(study(means=means)).seeds for means in (few, many)]
    assert without[0] == without[1] == with_reference[0] < with_reference[1]


def test_seeds_for_the_margin_that_are_there_already_are_not_asked_for_again() -> None:
    main = study(margin=0.9).main
    assert main is not None
    assert main.open == ["b"]
    needed = seeds_to_tell(main, "b")
    assert needed is not None
    assert needed[0] > 8


def test_a_winner_leaves_nothing_to_settle() -> None:
    main = study(means=(0.9, 0.8, 0.5)).main
    assert main is not None
    assert more_seeds(main) is None


def test_seeds_that_do_not_begin_at_0() -> None:
    found = following(study(seeds=range(50, 58)))
    (command,) = found.commands
    (typed,) = (word for word in shlex.split(command) if word.startswith("seed="))
    assert [*map(int, typed.removeprefix("seed=").split(","))] == [*range(found.more), *range(50, 58)]


def test_runs_that_are_there_are_not_counted_again() -> None:
    """b has two seeds more than a: these are not to be run."""
    rng = np.random.default_rng(1)
    rows = [
        record(init, seed, mean + 0.01 * rng.standard_normal(), provenance={"command": TYPED})
        for init, mean, seeds in (("a", 0.9, 8), ("b", 0.895, 10), ("c", 0.5, 8))
        for seed in range(seeds)
    ]
    found = following(Comparison(frame(*rows)))
    assert found.inits == ("b",)
    present = {"a": 8, "b": 10, "c": 8}
    assert found.runs == sum(found.seeds - present[init] for init in found.swept)
    assert found.more == found.seeds - 8


def test_runs_that_failed_are_to_be_run_again() -> None:
    rng = np.random.default_rng(1)
    rows = [
        record(init, n, mean + 0.01 * rng.standard_normal(), status="failed" if init == "b" and n > 2 else "finished")
        for init, mean in (("a", 0.9), ("b", 0.895))
        for n in range(8)
    ]
    found = following(Comparison(frame(*rows)))
    assert found.runs == 2 * found.seeds - 8 - 3


def test_seeds_are_those_that_the_two_share() -> None:
    """c lacks seeds, which is not for a and b to make up for."""
    rng = np.random.default_rng(1)
    rows = [
        record(init, n, mean + 0.01 * rng.standard_normal())
        for init, mean, seeds in (("a", 0.9, 12), ("b", 0.899, 12), ("c", 0.5, 8))
        for n in range(seeds)
    ]
    found = following(Comparison(frame(*rows)))
    present = {"a": 12, "b": 12, "c": 8}
    runs = sum(found.seeds - present[init] for init in found.swept)
    assert (found.inits, found.more, found.runs) == (("b",), found.seeds - 12, runs)


def test_records_that_are_dated_in_seconds_do_not_time_runs_of_milliseconds() -> None:
    rows = [record("a", seed, **times("00:00:00", "00:00:01")) for seed in range(100)]
    assert seconds_per_run(frame(*rows)) is None


def times(started: str, finished: str, **parts: Any) -> dict[str, Any]:
    return {"started_at": f"2026-01-01T{started}+00:00", "finished_at": f"2026-01-01T{finished}+00:00", **parts}


def test_the_machine_is_busy_while_any_run_is() -> None:
    together = [times("00:00:00", "00:00:10"), times("00:00:02", "00:00:12"), times("01:00:00", "01:00:06")]
    runs = frame(*(record("a", seed, **of) for seed, of in enumerate(together)))
    assert seconds_per_run(runs) == pytest.approx((12 + 6) / 3)


def test_machines_are_busy_side_by_side_and_runs_that_lay_for_days_do_not_count() -> None:
    rows = [
        record("a", 0, **times("00:00:00", "00:00:10", provenance={"hostname": "x"})),
        record("a", 1, **times("00:00:00", "00:00:20", provenance={"hostname": "y"})),
        record("a", 2, **times("00:00:00", "09:00:00", resumed_at=["then"])),
        record("a", 3, status="failed", **times("00:00:00", "09:00:00")),
    ]
    assert seconds_per_run(frame(*rows)) == pytest.approx(15)
    assert seconds_per_run(frame(record("a", 0, status="failed"))) is None


def test_several_open_questions_are_answered_with_eighty_percent_together() -> None:
    for means, power in (((0.9, 0.897), 0.8), ((0.9, 0.897, 0.896), 0.9)):
        main = study(means=means).main
        assert main is not None
        assert len(main.open) == len(means) - 1
        for init in main.open:
            seen = abs(float(main.rivals.at[init, "difference"]))
            assert seeds_to_tell(main, init) == (seeds_for(main, init, seen, power), seen)


def test_seeds_are_those_of_the_next_look() -> None:
    main = study().main
    assert main is not None
    now, next_look = (seeds_for(replace(main, next_level=level), "b", 0.005) for level in (0.05, 0.025))
    assert now is not None
    assert next_look is not None
    assert now < next_look


def test_seeds_that_chose_a_rate_are_not_scored() -> None:
    rows = [
        record(init, seed, mean + noise * (-1) ** seed, tuning=(8, 10), provenance={"command": TYPED})
        for init, mean, noise in (("a", 0.9, 0.008), ("b", 0.895, -0.008))
        for seed in (*range(8), 8, 10)
    ]
    (command,) = following(Comparison(frame(*rows))).commands
    (seeds,) = [word.removeprefix("seed=") for word in shlex.split(command) if word.startswith("seed=")]
    assert seeds.startswith("0,1,2,3,4,5,6,7,9,11,12,")


def open_pair(seeds: int) -> Findings:
    """Eight seeds of three, and such a level of the next look that the open lead takes so many."""
    main = study(means=(0.9, 0.897, 0.5)).main
    assert main is not None
    assert main.open == ["b"]
    of_seed, seen = spread(main.scores["a"] - main.scores["b"]), float(main.rivals.at["b", "difference"])
    levels = np.geomspace(0.9, 1e-4, 1000).tolist()
    return replace(main, next_level=next(level for level in levels if seeds_needed(seen, of_seed, level) == seeds))


@pytest.mark.parametrize("seeds", [8, 9])
def test_as_many_seeds_as_are_needed_are_enough(seeds: int) -> None:
    """With the eight that are there, no more are asked for."""
    main = open_pair(seeds)
    seen = float(main.rivals.at["b", "difference"])
    assert seeds_for(main, "b", seen) == seeds
    assert seeds_to_tell(main, "b") == (None if seeds == 8 else (9, seen))


@pytest.mark.parametrize("seeds, swept", [(16, ("a", "b")), (17, ("a", "b", "c"))])
def test_the_others_get_seeds_only_where_they_would_share_too_few(seeds: int, swept: tuple[str, ...]) -> None:
    """Half of the seeds are enough to be compared: 8 of 16, but not of 17."""
    found = more_seeds(open_pair(seeds))
    assert found is not None
    assert (found.seeds, found.swept) == (seeds, swept)


def test_one_that_is_run_again_with_more_seeds_than_needed_takes_no_runs_away() -> None:
    """The command cannot leave out the third, which has all the seeds already."""
    command = "python -m initbench -m init=normal init.std=0.1,0.2,0.3 model=mlp seed=range(8)"
    rng = np.random.default_rng(1)
    rows = [
        record(f"normal(std={std})", seed, mean + 0.005 * rng.standard_normal(), provenance={"command": command})
        for std, mean, seeds in ((0.1, 0.9, 8), (0.2, 0.897, 8), (0.3, 0.5, 200))
        for seed in range(seeds)
    ]
    found = following(Comparison(frame(*rows)))
    assert found.seeds < 200
    assert set(found.swept) == {f"normal(std={std})" for std in (0.1, 0.2, 0.3)}
    assert found.runs == 2 * (found.seeds - 8)
